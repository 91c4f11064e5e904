/*
 * Lets User Mode Linux run on processors with AMX (Intel from 2023 on). It keeps the registers of its processes in
 * buffers of 2696 bytes, which was all there was, and puts them back with PTRACE_SETREGSET; but the kernel takes
 * nothing less than the processor's whole state (xstateregs_set() in arch/x86/kernel/fpu/regset.c), 11008 bytes with
 * AMX, and says EFAULT. Preloaded, this appends the missing bytes. They are zero: nothing in the guest can use
 * AMX, whose use a program must ask the kernel for (ARCH_REQ_XCOMP_PERM), and User Mode Linux knows no such call.
 */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* Static, as User Mode Linux calls from stacks of 16 KiB; and it calls from one thread at a time. */
static char state[65536];
static size_t whole;

static long set_whole_state(long pid, const struct iovec *part) {
    struct iovec all = {state, sizeof state};
    if (whole == 0) {
        if (syscall(SYS_ptrace, PTRACE_GETREGSET, pid, NT_X86_XSTATE, &all) < 0) {
            return -1;
        }
        whole = all.iov_len;
        memset(state, 0, sizeof state);
    }
    if (part->iov_len >= whole) {
        return syscall(SYS_ptrace, PTRACE_SETREGSET, pid, NT_X86_XSTATE, part);
    }
    memcpy(state, part->iov_base, part->iov_len);
    all.iov_len = whole;
    return syscall(SYS_ptrace, PTRACE_SETREGSET, pid, NT_X86_XSTATE, &all);
}

/* Takes the place of the C library's, which has this signature and hands back what was peeked at. */
long ptrace(enum __ptrace_request request, ...) {
    va_list arguments;
    va_start(arguments, request);
    long pid = va_arg(arguments, int);
    void *address = va_arg(arguments, void *);
    void *data = va_arg(arguments, void *);
    va_end(arguments);

    if (request == PTRACE_SETREGSET && address == (void *)NT_X86_XSTATE) {
        return set_whole_state(pid, data);
    }
    if (request == PTRACE_PEEKTEXT || request == PTRACE_PEEKDATA || request == PTRACE_PEEKUSER) {
        long word;
        if (syscall(SYS_ptrace, request, pid, address, &word) < 0) {
            return -1;
        }
        errno = 0;
        return word;
    }
    return syscall(SYS_ptrace, request, pid, address, data);
}
