#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""old_kernel.py PROGRAM ARGUMENT…: runs a program as on a kernel without Landlock, by a filter of system calls that
answers ENOSYS to landlock_create_ruleset, as container runtimes have them."""
import ctypes
import os
import struct
import sys

LANDLOCK_CREATE_RULESET = 444  # on every architecture
ENOSYS = 38
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
LOAD, JUMP_EQUAL, RETURN = 0x20, 0x15, 0x06


def instruction(code, jt, jf, k):
    return struct.pack("=HBBI", code, jt, jf, k)


program = b"".join(
    [
        instruction(LOAD, 0, 0, 0),  # the number of the system call
        instruction(JUMP_EQUAL, 0, 1, LANDLOCK_CREATE_RULESET),
        instruction(RETURN, 0, 0, 0x00050000 | ENOSYS),
        instruction(RETURN, 0, 0, 0x7FFF0000),
    ]
)
code = ctypes.create_string_buffer(program)
libc = ctypes.CDLL(None, use_errno=True)
fprog = struct.pack("@HP", len(program) // 8, ctypes.addressof(code))
if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, fprog, 0, 0):
    sys.exit(f"no filter: {os.strerror(ctypes.get_errno())}")
os.execv(sys.argv[1], sys.argv[1:])
