// SPDX-License-Identifier: MIT
// What is set once for the whole process, before any thread exists: nothing of what it holds shall
// leave it by a core file, an inherited descriptor or an environment variable that changes what a
// library does.
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/env.h"
#include "base/log.h"
#include "daemon/daemon.h"
#include "daemon/process.h"
#include "http/multi.h"

#define IGNORED_MAX 512

static char ignored[IGNORED_MAX]; // names, each with a space behind it

// Proxies would be obeyed by libraries, which may lead back to ourselves; the others change whom
// TLS trusts, what names mean or which code is loaded, or write the keys of TLS to a file. A name
// with a '*' stands for all that start so.
static bool is_dangerous(struct str name)
{
    static const char *const names[] = {
        "http_proxy",       "https_proxy",    "all_proxy",     "no_proxy",    "HTTP_PROXY",
        "HTTPS_PROXY",      "ALL_PROXY",      "NO_PROXY",      "CURL_*",      "NETRC",
        "SSL_CERT_FILE",    "SSL_CERT_DIR",   "SSLKEYLOGFILE", "OPENSSL_*",   "LD_*",
        "GCONV_PATH",       "GLIBC_TUNABLES", "HOSTALIASES",   "LOCALDOMAIN", "LOCPATH",
        "RESOLV_HOST_CONF", "MALLOC_*",       "SQLITE_TMPDIR", "GETCONF_DIR",
    };
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct str known = str_of(names[i]);
        bool is_start = str_ends(known, STR("*"));
        known.len -= is_start;
        if (is_start ? str_starts(name, known) : str_eq(name, known))
            return true;
    }
    return false;
}

static void clear_environment(void)
{
    size_t len = 0;
    for (size_t i = 0; environ && environ[i];) {
        struct str name = str_of(environ[i]);
        char copy[64];
        if (!str_find(name, '=', &name.len) || name.len >= sizeof copy || !is_dangerous(name)) {
            i++;
            continue;
        }
        snprintf(copy, sizeof copy, "%.*s", STR_ARG(name));
        if (len + name.len + 2 < sizeof ignored)
            len += (size_t)snprintf(ignored + len, sizeof ignored - len, "%s ", copy);
        env_hide(copy); // those behind it move to the front
    }
}

void process_log_ignored(void)
{
    if (ignored[0])
        log_info("environment.ignored", F_STR("names", str_trim(str_of(ignored))));
}

bool daemon_prepare_process(struct err *err)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigset_t stop_signals;
    sigaction(SIGPIPE, &ignore, NULL);
    // Every thread inherits this: the control loop reads them from a descriptor.
    sigemptyset(&stop_signals);
    sigaddset(&stop_signals, SIGTERM);
    sigaddset(&stop_signals, SIGINT);
    sigprocmask(SIG_BLOCK, &stop_signals, NULL);
    umask(077);
    clear_environment();
    struct rlimit no_core = {0, 0};
    if (setrlimit(RLIMIT_CORE, &no_core) || prctl(PR_SET_DUMPABLE, 0) ||
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        return err_errno(err, "cannot switch core dumps and new privileges off");
    return multi_global_init(err);
}
