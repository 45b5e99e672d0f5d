"""Rules that name the tool which sent a packet, over `fastflow/ff_tool.h`."""

cimport cython

from fastflow._c_tool cimport (
    FF_N_TOOL_FIELDS,
    FF_TOOL_FIRST_OTHER_FIELD,
    FF_TOOL_RULES_MAX,
    FF_TOOL_TERMS,
    FF_TOOL_TESTS_MAX,
    FF_TOOLS_MAX,
    ff_tool_fields,
    ff_tool_rule,
    ff_tool_test,
)

#: Name and width in bits of each field that a test may take, by number.
FIELDS = tuple(
    (ff_tool_fields[i].name.decode(), ff_tool_fields[i].bits)
    for i in range(FF_N_TOOL_FIELDS)
)
MAX_RULES = FF_TOOL_RULES_MAX
MAX_TERMS = FF_TOOL_TERMS
MAX_TESTS = FF_TOOL_TESTS_MAX
MAX_TOOLS = FF_TOOLS_MAX


@cython.final
cdef class Rules:
    """Rules in the order in which they are asked.

    Parameters
    ----------
    rules : sequence of (int, int, int, sequence of tests)
        The tool's code from 1 on, the times that the rule holds for (begin <= ts < end,
        nanoseconds since 1970 UTC), and tests (fields, mask, value): the exclusive or
        of the fields is the value where the mask has ones.

    Raises
    ------
    ValueError
        There are more rules, tests or fields than there is room for, or a code or a
        field that does not exist.

    Notes
    -----
    Immutable: any number of threads may use it at the same time.
    """

    def __cinit__(self, rules):
        cdef ff_tool_rule *rule
        if len(rules) > FF_TOOL_RULES_MAX:
            raise ValueError(f"more than {FF_TOOL_RULES_MAX} rules")
        for tool, begin_ns, end_ns, tests in rules:
            if not 1 <= tool <= FF_TOOLS_MAX:
                raise ValueError(f"no tool has the code {tool}")
            rule = &self.tools.rules[self.tools.n]
            rule.tool = tool
            rule.begin_ns = begin_ns
            rule.end_ns = end_ns
            self.add_tests(rule, tests)
            self.tools.n += 1

    cdef int add_tests(self, ff_tool_rule *rule, object tests) except -1:
        cdef ff_tool_test *test
        cdef size_t i
        if not 1 <= len(tests) <= FF_TOOL_TESTS_MAX:
            raise ValueError(f"a rule has 1 to {FF_TOOL_TESTS_MAX} tests")
        for fields, mask, value in tests:
            if len(fields) > FF_TOOL_TERMS:
                raise ValueError(f"a test has at most {FF_TOOL_TERMS} fields")
            test = &rule.tests[rule.n_tests]
            test.mask = mask
            test.value = value
            for i in range(<size_t> len(fields)):
                if not 0 <= fields[i] < FF_N_TOOL_FIELDS:
                    raise ValueError(f"no field has the number {fields[i]}")
                test.fields[i] = fields[i]
                if fields[i] >= FF_TOOL_FIRST_OTHER_FIELD:
                    self.tools.has_other_fields = True
            rule.n_tests += 1
        return 0
