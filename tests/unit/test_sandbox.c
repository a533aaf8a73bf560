// SPDX-License-Identifier: MIT
// What a process can still do in the sandbox, tried by processes that are in it (T-20): each row
// runs in one of its own, which the kernel stops, or which says what became of it.
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/landlock.h"
#include "base/syscalls.h"

#define KILLED 1000 // by the filter: SIGSYS
#define BROKEN 1001 // the sandbox could not be entered

static char dir[] = "/tmp/test_sandbox.XXXXXX", secrets[64], store[64], outside[64];

static int result_of(long rc)
{
    return rc < 0 ? errno : 0;
}

// Runs enter() and then action() in a process of its own: 0, an errno, KILLED or BROKEN.
static int in_child(bool (*enter)(struct err *err), int (*action)(void))
{
    int status;
    pid_t pid = fork();
    if (!pid) {
        struct err err = {""};
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || !enter(&err)) {
            fprintf(stderr, "%s\n", err.text);
            _exit(255);
        }
        _exit(action());
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFSIGNALED(status))
        return WTERMSIG(status) == SIGSYS ? KILLED : -WTERMSIG(status);
    return WEXITSTATUS(status) == 255 ? BROKEN : WEXITSTATUS(status);
}

struct row {
    const char *name;
    int (*action)(void);
    int expected;
};

static void run_rows(bool (*enter)(struct err *err), const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int result = in_child(enter, rows[i].action);
        if (result != rows[i].expected)
            fail_msg("%s: %d, expected %d", rows[i].name, result, rows[i].expected);
    }
}

// -- system calls ------------------------------------------------------------------------------

static int do_execve(void)
{
    char *const none[] = {NULL};
    return result_of(execve("/bin/true", none, none));
}
static int do_execveat(void)
{
    char *const none[] = {NULL};
    return result_of(syscall(SYS_execveat, AT_FDCWD, "/bin/true", none, none, 0));
}
static int do_fork(void)
{
    return result_of(fork());
}
static int do_clone_process(void)
{
    return result_of(syscall(SYS_clone, SIGCHLD | CLONE_VM | CLONE_VFORK, 0, 0, 0, 0));
}
static int do_clone3(void)
{
    char arguments[64] = "";
    return result_of(syscall(SYS_clone3, arguments, sizeof arguments));
}
static int do_ptrace(void)
{
    return result_of(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
}
static int do_read_process(void)
{
    return result_of(syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0));
}
static int do_mount(void)
{
    return result_of(mount("none", dir, "tmpfs", 0, NULL));
}
static int do_unshare(void)
{
    return result_of(unshare(CLONE_NEWUSER));
}
static int do_bpf(void)
{
    return result_of(syscall(SYS_bpf, 0, NULL, 0));
}
static int do_io_uring(void)
{
    return result_of(syscall(SYS_io_uring_setup, 1, NULL));
}
static int do_setuid(void)
{
    return result_of(syscall(SYS_setuid, 0));
}
static int do_packet_socket(void)
{
    return result_of(socket(AF_PACKET, SOCK_RAW, 0));
}
static int do_alg_socket(void)
{
    return result_of(socket(AF_ALG, SOCK_SEQPACKET, 0));
}
static int do_write_and_execute(void)
{
    void *page =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return page == MAP_FAILED ? errno : 0;
}
static int do_make_executable(void)
{
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return result_of(mprotect(page, 4096, PROT_READ | PROT_EXEC));
}
static int do_kill_parent(void)
{
    return result_of(kill(getppid(), 0));
}
// A descriptor that becomes ready signals its owner, who may be anybody.
static int do_own_for_parent(void)
{
    int fds[2];
    return pipe(fds) ? 200 : result_of(fcntl(fds[0], F_SETOWN, getppid()));
}
static int do_own_for_thread_of_parent(void)
{
    struct f_owner_ex owner = {F_OWNER_TID, getppid()};
    int fds[2];
    return pipe(fds) ? 200 : result_of(fcntl(fds[0], F_SETOWN_EX, &owner));
}
static int do_choose_signal(void)
{
    int fds[2];
    return pipe(fds) ? 200 : result_of(fcntl(fds[0], F_SETSIG, SIGKILL));
}
static int do_change_mode(void)
{
    return result_of(chmod(secrets, 0700));
}
static int do_change_mode_at(void)
{
    return result_of(fchmodat(AT_FDCWD, secrets, 0700, 0));
}
static int do_change_mode_of_open(void)
{
    return result_of(fchmod(open(secrets, O_RDONLY | O_DIRECTORY), 0700));
}
static int do_flags_and_locks(void)
{
    struct flock lock = {.l_type = F_WRLCK};
    int fd = open(secrets, O_TMPFILE | O_RDWR, 0600);
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 10);
    return result_of(fcntl(copy, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK)) ||
           result_of(fcntl(copy, F_SETFD, 0)) || result_of(fcntl(copy, F_SETLK, &lock));
}
static int do_type_into_terminal(void)
{
    return result_of(ioctl(0, TIOCSTI, "x"));
}
static int do_become_dumpable(void)
{
    return result_of(prctl(PR_SET_DUMPABLE, 1));
}
static int do_limit_of_parent(void)
{
    return result_of(syscall(SYS_prlimit64, getppid(), 0, NULL, NULL));
}

static void *say_so(void *arg)
{
    *(int *)arg = 1;
    return NULL;
}
static int do_thread(void)
{
    pthread_t thread;
    int ran = 0;
    int failed = pthread_create(&thread, NULL, say_so, &ran);
    return failed ? failed : pthread_join(thread, NULL) || !ran ? 200 : 0;
}
static int do_resolve(void)
{
    struct addrinfo *found = NULL;
    int failed = getaddrinfo("localhost", "80", NULL, &found);
    return failed ? 200 : 0;
}
static int do_sockets(void)
{
    int fds[2];
    return socket(AF_INET, SOCK_STREAM, 0) < 0 || socket(AF_INET6, SOCK_DGRAM, 0) < 0 ||
           socketpair(AF_UNIX, SOCK_STREAM, 0, fds);
}
static void *kill_in_thread(void *arg)
{
    (void)arg;
    do_execve();
    return NULL;
}
static int do_execve_in_thread(void)
{
    pthread_t thread;
    if (!pthread_create(&thread, NULL, kill_in_thread, NULL))
        pthread_join(thread, NULL);
    return 0;
}

static bool enter_calls(struct err *err)
{
    return syscalls_restrict(false, err);
}
static bool enter_calls_with_modes(struct err *err)
{
    return syscalls_restrict(true, err);
}

static void test_system_calls(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"execve", do_execve, KILLED},
        {"execveat", do_execveat, KILLED},
        {"execve in another thread", do_execve_in_thread, KILLED},
        {"fork", do_fork, KILLED},
        {"clone of a process", do_clone_process, KILLED},
        {"ptrace", do_ptrace, KILLED},
        {"process_vm_readv", do_read_process, KILLED},
        {"mount", do_mount, KILLED},
        {"unshare", do_unshare, KILLED},
        {"bpf", do_bpf, KILLED},
        {"clone3", do_clone3, ENOSYS},
        {"io_uring", do_io_uring, ENOSYS},
        {"setuid", do_setuid, ENOSYS},
        {"AF_PACKET", do_packet_socket, EAFNOSUPPORT},
        {"AF_ALG", do_alg_socket, EAFNOSUPPORT},
        {"memory to write and execute", do_write_and_execute, ENOSYS},
        {"written memory made executable", do_make_executable, ENOSYS},
        {"kill of another process", do_kill_parent, ENOSYS},
        {"F_SETOWN of another process", do_own_for_parent, ENOSYS},
        {"F_SETOWN_EX of another process", do_own_for_thread_of_parent, ENOSYS},
        {"F_SETSIG", do_choose_signal, ENOSYS},
        {"typing into a terminal", do_type_into_terminal, ENOSYS},
        {"PR_SET_DUMPABLE", do_become_dumpable, ENOSYS},
        {"limits of another process", do_limit_of_parent, ENOSYS},
        {"mode of a file", do_change_mode, ENOSYS},
        {"mode of a file below a folder", do_change_mode_at, ENOSYS},
        {"mode of a file that is open", do_change_mode_of_open, 0},
        {"a thread", do_thread, 0},
        {"flags and locks", do_flags_and_locks, 0},
        {"getaddrinfo", do_resolve, 0},
        {"sockets", do_sockets, 0},
    };
    run_rows(enter_calls, rows, ARRAY_LEN(rows));
    assert_int_equal(in_child(enter_calls_with_modes, do_change_mode), 0);
    assert_int_equal(in_child(enter_calls_with_modes, do_execve), KILLED);
}

// abort() must end it as a core dump would, not by the filter.
static int do_abort(void)
{
    signal(SIGABRT, SIG_DFL);
    abort();
}

static void test_abort(void **state)
{
    (void)state;
    assert_int_equal(in_child(enter_calls, do_abort), -SIGABRT);
}

// -- files -------------------------------------------------------------------------------------

static bool enter_files(struct err *err)
{
    struct landlock *landlock = landlock_new(err);
    bool ok = landlock && landlock_allow(landlock, secrets, LANDLOCK_READ) &&
              landlock_allow(landlock, store, LANDLOCK_READ | LANDLOCK_WRITE) &&
              landlock_allow(landlock, "/dev/null", LANDLOCK_READ | LANDLOCK_WRITE) &&
              landlock_enforce(landlock, err);
    landlock_free(landlock);
    return ok;
}

static const char *path_in(const char *folder, const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static int open_as(const char *folder, const char *name, int flags)
{
    int fd = open(path_in(folder, name), flags, 0600);
    return result_of(fd);
}
static int do_read_inside(void)
{
    return open_as(secrets, "one", O_RDONLY);
}
static int do_write_inside(void)
{
    return open_as(secrets, "one", O_WRONLY);
}
static int do_create_inside(void)
{
    return open_as(secrets, "new", O_WRONLY | O_CREAT);
}
static int do_remove_inside(void)
{
    return result_of(unlink(path_in(secrets, "one")));
}
static int do_read_outside(void)
{
    return open_as(outside, "one", O_RDONLY);
}
static int do_list_outside(void)
{
    return open_as(outside, "", O_RDONLY | O_DIRECTORY);
}
static int do_climb(void)
{
    return open_as(secrets, "../outside/one", O_RDONLY);
}
static int do_follow_link(void)
{
    return open_as(secrets, "link", O_RDONLY);
}
static int do_read_passwords(void)
{
    return result_of(open("/etc/shadow", O_RDONLY));
}
static int do_read_parent(void)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/environ", (int)getppid());
    return result_of(open(path, O_RDONLY));
}
static int do_store(void)
{
    int fd = open(path_in(store, "tokens.db"), O_RDWR | O_CREAT, 0600);
    return result_of(fd) ? errno
                         : result_of(ftruncate(fd, 100)) || unlink(path_in(store, "tokens.db"));
}
static int do_null(void)
{
    int fd = open("/dev/null", O_RDWR);
    return fd < 0 ? errno : result_of(write(fd, "x", 1));
}
static int do_make_socket(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s/socket", secrets);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    return result_of(bind(fd, (const struct sockaddr *)&address, sizeof address));
}
static int do_signal_parent(void)
{
    return result_of(kill(getppid(), 0));
}

static void test_files(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"read", do_read_inside, 0},
        {"write", do_write_inside, EACCES},
        {"create", do_create_inside, EACCES},
        {"remove", do_remove_inside, EACCES},
        {"read outside", do_read_outside, EACCES},
        {"list outside", do_list_outside, EACCES},
        {"climb out", do_climb, EACCES},
        {"a link that leads out", do_follow_link, EACCES},
        {"/etc/shadow", do_read_passwords, EACCES},
        {"/proc/PID/environ", do_read_parent, EACCES},
        {"a database", do_store, 0},
        {"execute", do_execve, EACCES},
        {"/dev/null", do_null, 0},
        {"a socket", do_make_socket, EACCES},
    };
    if (!landlock_version())
        skip();
    run_rows(enter_files, rows, ARRAY_LEN(rows));
    if (landlock_version() >= 6)
        assert_int_equal(in_child(enter_files, do_signal_parent), EPERM);
}

static bool enter_sockets(struct err *err)
{
    struct landlock *landlock = landlock_new(err);
    return landlock && landlock_allow(landlock, secrets, LANDLOCK_SOCKET) &&
           landlock_enforce(landlock, err);
}

static void test_socket_folder(void **state)
{
    (void)state;
    if (!landlock_version())
        skip();
    assert_int_equal(in_child(enter_sockets, do_make_socket), 0);
    assert_int_equal(unlink(path_in(secrets, "socket")), 0);
    assert_int_equal(in_child(enter_sockets, do_read_inside), EACCES);
}

// Secrets are rotated by putting another file in the place of the first.
static int do_read_replaced(void)
{
    char byte;
    int fd = open(path_in(secrets, "one"), O_RDONLY);
    return fd < 0 || read(fd, &byte, 1) != 1 ? 200 : byte;
}
static void write_file(const char *folder, const char *name, const char *text)
{
    FILE *file = fopen(path_in(folder, name), "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void test_replaced_files_are_in_reach(void **state)
{
    (void)state;
    int ready[2], status;
    char byte;
    if (!landlock_version())
        skip();
    assert_int_equal(pipe(ready), 0);
    int go[2];
    assert_int_equal(pipe(go), 0);
    pid_t pid = fork();
    if (!pid) {
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        if (!enter_files(NULL) || write(ready[1], "x", 1) != 1 || read(go[0], &byte, 1) != 1)
            _exit(255);
        _exit(do_read_replaced());
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    char old[128];
    write_file(secrets, "two", "\x07");
    snprintf(old, sizeof old, "%s/two", secrets);
    assert_int_equal(rename(old, path_in(secrets, "one")), 0);
    assert_int_equal(write(go[1], "x", 1), 1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(WEXITSTATUS(status), 7);
}

static int set_up(void **state)
{
    (void)state;
    char link[96], target[96];
    if (!mkdtemp(dir))
        return -1;
    snprintf(secrets, sizeof secrets, "%s/secrets", dir);
    snprintf(store, sizeof store, "%s/store", dir);
    snprintf(outside, sizeof outside, "%s/outside", dir);
    if (mkdir(secrets, 0700) || mkdir(store, 0700) || mkdir(outside, 0700))
        return -1;
    write_file(secrets, "one", "1");
    write_file(outside, "one", "1");
    snprintf(link, sizeof link, "%s/link", secrets);
    snprintf(target, sizeof target, "%s/one", outside);
    return symlink(target, link);
}

static int tear_down(void **state)
{
    (void)state;
    unlink(path_in(secrets, "link"));
    unlink(path_in(secrets, "one"));
    unlink(path_in(outside, "one"));
    return rmdir(secrets) || rmdir(store) || rmdir(outside) || rmdir(dir) ? -1 : 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_system_calls),
        cmocka_unit_test(test_abort),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_socket_folder),
        cmocka_unit_test(test_replaced_files_are_in_reach),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
