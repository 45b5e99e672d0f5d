/* SPDX-License-Identifier: Apache-2.0 */
/* A fuzz target without a fuzzer: runs it on the files that are named.
 *
 *   cc -fsanitize=address,undefined -Inative/include fuzz_scan.c replay.c */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void replay(const char *path) {
    FILE *file = fopen(path, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0) abort();
    long n = ftell(file);
    if (n < 0 || fseek(file, 0, SEEK_SET) != 0) abort();
    uint8_t *data = malloc(n ? (size_t)n : 1);
    if (data == NULL || fread(data, 1, (size_t)n, file) != (size_t)n) abort();
    fclose(file);
    /* Said before, so that the last name is that of the one that failed. */
    fprintf(stderr, "%s\n", path);
    LLVMFuzzerTestOneInput(data, (size_t)n);
    free(data);
}

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) replay(argv[i]);
    return 0;
}
