"""A sensor can lose power at any instant: what a store is then, call by call.

`fastflow reduce` runs as a user runs it, in a process that is killed, refused or lied
to at one chosen call of file output; afterwards the store is read, and the same reduce
run again. Nothing here knows how a store is written: faults strike at the C library's
door, and judgement looks at the Delta log and the Parquet files.

    shim.c      preloaded: counts, logs, fails, cuts short, kills
    shim.py     what it is told (`Plan`) and what it tells (`Call`); compiles it
    server.py   imports fastflow once, then forks a process for each case
    runner.py   the client of two such servers; runs cases side by side
    scenes.py   captures with a known truth, and what is there before a reduce begins
    power.py    from the log of calls to the disks that a power loss may leave
    check.py    what must be true of a store, whatever happened
    cases.py    one case: a fault, a look, a second reduce, a look

    test_shim.py        the shim sees all that is written; the simulator is right
    test_kill.py        kill -9 before, within and after each call; at any moment
    test_io_errors.py   ENOSPC, EIO, EROFS, EINTR, short writes, failed fsync, full disk
    test_maintenance.py kill -9 and a full disk while a store is compacted, or expires
    test_repair.py      the same while it is repaired; damaged and lost log entries
    test_power.py       power loss after each call, what was not synced gone or torn

FASTFLOW_KILLS=1000 raises the number of kills at random moments (100).
"""
