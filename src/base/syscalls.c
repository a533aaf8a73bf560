// SPDX-License-Identifier: MIT
// See syscalls.h. The door to libseccomp. Invariant: every call is in one table only, and those
// whose arguments decide are in none of the plain ones.
#include "base/syscalls.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define CALL(name) SCMP_SYS(name)

static const int allowed[] = {
    // descriptors and bytes
    CALL(read),
    CALL(write),
    CALL(readv),
    CALL(writev),
    CALL(pread64),
    CALL(pwrite64),
    CALL(preadv),
    CALL(pwritev),
    CALL(lseek),
    CALL(close),
    CALL(close_range),
    CALL(dup),
    CALL(dup2),
    CALL(dup3),
    CALL(pipe),
    CALL(pipe2),
    CALL(splice),
    CALL(tee),
    CALL(sendfile),
    CALL(eventfd2),
    CALL(signalfd4),
    CALL(timerfd_create),
    CALL(timerfd_settime),
    CALL(timerfd_gettime),
    CALL(inotify_init1),
    CALL(inotify_add_watch),
    CALL(inotify_rm_watch),
    CALL(pidfd_open),
    // waiting
    CALL(poll),
    CALL(ppoll),
    CALL(select),
    CALL(pselect6),
    CALL(epoll_create),
    CALL(epoll_create1),
    CALL(epoll_ctl),
    CALL(epoll_wait),
    CALL(epoll_pwait),
    CALL(epoll_pwait2),
    CALL(nanosleep),
    CALL(clock_nanosleep),
    CALL(pause),
    CALL(wait4),
    CALL(waitid),
    // sockets; socket() itself is below
    CALL(socketpair),
    CALL(bind),
    CALL(listen),
    CALL(accept),
    CALL(accept4),
    CALL(connect),
    CALL(getsockname),
    CALL(getpeername),
    CALL(getsockopt),
    CALL(setsockopt),
    CALL(sendto),
    CALL(sendmsg),
    CALL(sendmmsg),
    CALL(recvfrom),
    CALL(recvmsg),
    CALL(recvmmsg),
    CALL(shutdown),
    // files
    CALL(open),
    CALL(openat),
    CALL(openat2),
    CALL(stat),
    CALL(lstat),
    CALL(fstat),
    CALL(newfstatat),
    CALL(statx),
    CALL(statfs),
    CALL(fstatfs),
    CALL(access),
    CALL(faccessat),
    CALL(faccessat2),
    CALL(readlink),
    CALL(readlinkat),
    CALL(getcwd),
    CALL(getdents64),
    CALL(flock),
    CALL(fsync),
    CALL(fdatasync),
    CALL(sync_file_range),
    CALL(fadvise64),
    CALL(readahead),
    CALL(ftruncate),
    CALL(fallocate),
    CALL(unlink),
    CALL(unlinkat),
    CALL(rename),
    CALL(renameat),
    CALL(renameat2),
    CALL(fchmod), // of what can be opened
    CALL(fchown),
    CALL(umask),
    // memory; mmap() and mprotect() are below
    CALL(munmap),
    CALL(mremap),
    CALL(madvise),
    CALL(msync),
    CALL(mincore),
    CALL(brk),
    CALL(mlock),
    CALL(mlock2),
    CALL(munlock),
    CALL(membarrier),
    // threads; clone() is below
    CALL(futex),
    CALL(set_robust_list),
    CALL(get_robust_list),
    CALL(rseq),
    CALL(set_tid_address),
    CALL(gettid),
    CALL(exit),
    CALL(exit_group),
    CALL(sched_yield),
    CALL(sched_getaffinity),
    CALL(sched_getparam),
    CALL(sched_getscheduler),
    CALL(sched_get_priority_max),
    CALL(sched_get_priority_min),
    CALL(arch_prctl),
    CALL(getcpu),
    // signals; kill() and tgkill() are below
    CALL(rt_sigaction),
    CALL(rt_sigprocmask),
    CALL(rt_sigreturn),
    CALL(rt_sigpending),
    CALL(rt_sigtimedwait),
    CALL(rt_sigsuspend),
    CALL(sigaltstack),
    CALL(restart_syscall),
    // what time it is, who we are, what there is
    CALL(clock_gettime),
    CALL(clock_getres),
    CALL(gettimeofday),
    CALL(time),
    CALL(times),
    CALL(getrusage),
    CALL(getrlimit),
    CALL(sysinfo),
    CALL(uname),
    CALL(getrandom),
    CALL(getpid),
    CALL(getppid),
    CALL(getpgrp),
    CALL(getpgid),
    CALL(getsid),
    CALL(getuid),
    CALL(geteuid),
    CALL(getgid),
    CALL(getegid),
    CALL(getresuid),
    CALL(getresgid),
    CALL(getgroups),
};

// Of every file there is that is our user's, whatever can be opened: Landlock has no say in it.
static const int by_path[] = {
    CALL(chmod),
    CALL(fchmodat),
};

static const int deadly[] = {
    CALL(execve),
    CALL(execveat),
    CALL(fork),
    CALL(vfork),
    CALL(ptrace),
    CALL(process_vm_readv),
    CALL(process_vm_writev),
    CALL(pidfd_getfd),
    CALL(kcmp),
    CALL(mount),
    CALL(umount2),
    CALL(pivot_root),
    CALL(chroot),
    CALL(move_mount),
    CALL(open_tree),
    CALL(fsopen),
    CALL(fsconfig),
    CALL(fsmount),
    CALL(fspick),
    CALL(setns),
    CALL(unshare),
    CALL(init_module),
    CALL(finit_module),
    CALL(delete_module),
    CALL(kexec_load),
    CALL(kexec_file_load),
    CALL(bpf),
    CALL(perf_event_open),
    CALL(userfaultfd),
    CALL(open_by_handle_at),
    CALL(reboot),
    CALL(swapon),
    CALL(swapoff),
    CALL(acct),
    CALL(iopl),
    CALL(ioperm),
};

struct conditional {
    int call;
    uint32_t action;
    struct scmp_arg_cmp condition;
};

#define IS(argument, value)     SCMP_CMP(argument, SCMP_CMP_EQ, value)
#define HAS_NOT(argument, bits) SCMP_CMP(argument, SCMP_CMP_MASKED_EQ, bits, 0)
#define HAS_ALL(argument, bits) SCMP_CMP(argument, SCMP_CMP_MASKED_EQ, bits, bits)
#define ALLOW_IF(name, condition_)                                                                 \
    {                                                                                              \
        CALL(name), SCMP_ACT_ALLOW, condition_                                                     \
    }

// Several rows of a call are alternatives.
static const struct conditional conditionals[] = {
    // Threads, no processes. clone3() has its flags in memory, where no filter sees them: it is
    // unknown, and libc goes back to clone().
    ALLOW_IF(clone, HAS_ALL(0, CLONE_THREAD | CLONE_VM | CLONE_SIGHAND)),
    {CALL(clone), SCMP_ACT_KILL_PROCESS, HAS_NOT(0, CLONE_THREAD)},
    // No memory is both written to and executed, and none that was written to becomes executable.
    // Against a file that can be written to, mapped twice, there is no rule.
    ALLOW_IF(mmap, HAS_NOT(2, PROT_EXEC)),
    ALLOW_IF(mmap, HAS_NOT(2, PROT_WRITE)),
    ALLOW_IF(mprotect, HAS_NOT(2, PROT_EXEC)),
    // getaddrinfo() asks the kernel (netlink) which addresses this machine has.
    ALLOW_IF(socket, IS(0, AF_UNIX)),
    ALLOW_IF(socket, IS(0, AF_INET)),
    ALLOW_IF(socket, IS(0, AF_INET6)),
    ALLOW_IF(socket, IS(0, AF_NETLINK)),
    {CALL(socket), SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_CMP(0, SCMP_CMP_GT, AF_NETLINK)},
    // Not those that have the kernel signal another process, whatever kill() may do.
    ALLOW_IF(fcntl, IS(1, F_DUPFD)),
    ALLOW_IF(fcntl, IS(1, F_DUPFD_CLOEXEC)),
    ALLOW_IF(fcntl, IS(1, F_GETFD)),
    ALLOW_IF(fcntl, IS(1, F_SETFD)),
    ALLOW_IF(fcntl, IS(1, F_GETFL)),
    ALLOW_IF(fcntl, IS(1, F_SETFL)),
    ALLOW_IF(fcntl, IS(1, F_GETLK)), // SQLite
    ALLOW_IF(fcntl, IS(1, F_SETLK)),
    ALLOW_IF(fcntl, IS(1, F_SETLKW)),
    ALLOW_IF(fcntl, IS(1, F_OFD_GETLK)),
    ALLOW_IF(fcntl, IS(1, F_OFD_SETLK)),
    ALLOW_IF(fcntl, IS(1, F_OFD_SETLKW)),
    ALLOW_IF(ioctl, IS(1, FIONBIO)),
    ALLOW_IF(ioctl, IS(1, FIONREAD)),
    ALLOW_IF(ioctl, IS(1, TCGETS)), // isatty()
    ALLOW_IF(ioctl, IS(1, TIOCGWINSZ)),
    ALLOW_IF(prctl, IS(0, PR_SET_NAME)),
    ALLOW_IF(prctl, IS(0, PR_GET_NAME)),
    ALLOW_IF(prlimit64, IS(0, 0)), // its own
};

static bool add_plain(scmp_filter_ctx filter, bool with_modes)
{
    bool ok = true;
    for (size_t i = 0; with_modes && i < ARRAY_LEN(by_path); i++)
        ok = ok && !seccomp_rule_add(filter, SCMP_ACT_ALLOW, by_path[i], 0);
    for (size_t i = 0; i < ARRAY_LEN(allowed); i++)
        ok = ok && !seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
    for (size_t i = 0; i < ARRAY_LEN(deadly); i++)
        ok = ok && !seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, deadly[i], 0);
    return ok;
}

static bool add_conditional(scmp_filter_ctx filter)
{
    bool ok = true;
    for (size_t i = 0; i < ARRAY_LEN(conditionals); i++) {
        const struct conditional *row = &conditionals[i];
        ok = ok && !seccomp_rule_add_array(filter, row->action, row->call, 1, &row->condition);
    }
    // abort() and pthread_kill() signal this process, and nobody else is to be signalled.
    scmp_datum_t own = (scmp_datum_t)getpid();
    return ok && !seccomp_rule_add(filter, SCMP_ACT_ALLOW, CALL(tgkill), 1, IS(0, own)) &&
           !seccomp_rule_add(filter, SCMP_ACT_ALLOW, CALL(kill), 1, IS(0, own));
}

bool syscalls_restrict(bool with_modes, struct err *err)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
    if (!filter)
        return err_set(err, "cannot build a filter of system calls");
    // No penalty for speculative execution: there is no foreign code here to hide from. A tree in
    // place of a list: a call costs the same wherever it stands.
    seccomp_attr_set(filter, SCMP_FLTATR_CTL_SSB, 1);
    seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    bool ok = add_plain(filter, with_modes) && add_conditional(filter);
    if (!ok)
        err_set(err, "cannot build a filter of system calls");
    int failed = ok ? seccomp_load(filter) : 0;
    seccomp_release(filter);
    errno = -failed;
    return ok && (!failed || err_errno(err, "cannot restrict system calls by seccomp"));
}
