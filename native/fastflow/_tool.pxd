# What other modules of native/ may use of this one.
from fastflow._c_tool cimport ff_tool_rule, ff_tools


cdef class Rules:
    cdef ff_tools tools
    cdef int add_tests(self, ff_tool_rule *rule, object tests) except -1
