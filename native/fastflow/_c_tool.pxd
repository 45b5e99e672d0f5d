# What the Cython modules see of the rules for tools.
from libc.stdint cimport int64_t, uint8_t, uint32_t

cdef extern from "fastflow/ff_tool.h" nogil:
    enum:
        FF_N_TOOL_FIELDS
        FF_TOOL_FIRST_OTHER_FIELD
        FF_TOOL_RULES_MAX
        FF_TOOL_TERMS
        FF_TOOL_TESTS_MAX
        FF_TOOLS_MAX
    ctypedef struct ff_tool_field_info:
        const char *name
        unsigned bits
    const ff_tool_field_info ff_tool_fields[]
    ctypedef struct ff_tool_test:
        uint32_t mask
        uint32_t value
        uint8_t fields[]
    ctypedef struct ff_tool_rule:
        int64_t begin_ns
        int64_t end_ns
        uint8_t tool
        uint8_t n_tests
        ff_tool_test tests[]
    ctypedef struct ff_tools:
        size_t n
        bint has_other_fields
        ff_tool_rule rules[]
