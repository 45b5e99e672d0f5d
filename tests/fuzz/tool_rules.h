/* SPDX-License-Identifier: Apache-2.0 */
/* The rules for single packets of src/fastflow/data/tools.toml, for programs that are
 * without Python. */
#ifndef TOOL_RULES_H
#define TOOL_RULES_H

#include "fastflow/ff_tool.h"

#define FIELD(name) FF_TOOL_FIELD_##name

static const ff_tools tool_rules = {
    .n = 3,
    .rules = {
        {.tool = 2,
         .end_ns = INT64_MAX,
         .n_tests = 1,
         .tests = {{.mask = UINT32_MAX, .fields = {FIELD(tcp_seq), FIELD(dst)}}}},
        {.tool = 1,
         .end_ns = INT64_MAX,
         .n_tests = 1,
         .tests = {{.mask = 0xffff,
                    .fields = {FIELD(ip_id), FIELD(dst), FIELD(dst_port),
                               FIELD(tcp_seq)}}}},
        {.tool = 3,
         .end_ns = INT64_MAX,
         .n_tests = 2,
         .tests = {{.mask = 0xffff, .value = 54321, .fields = {FIELD(ip_id)}},
                   {.mask = 0xffff, .value = 65535, .fields = {FIELD(tcp_window)}}}},
    }};

#undef FIELD

#endif
