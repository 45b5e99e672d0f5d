"""The report of a period: what it says, in which words, and how it is laid out."""
