// SPDX-License-Identifier: MIT
// What is set once for the whole process, before any thread exists: nothing of what it holds shall
// leave it by a core file, an inherited descriptor or an environment variable that changes what a
// library does.
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/env.h"
#include "base/log.h"
#include "daemon/daemon.h"
#include "http/multi.h"

static void clear_environment(void)
{
    // Proxies would be obeyed by libraries, which may lead back to ourselves; the others change
    // whom TLS trusts, or write its keys to a file.
    static const char *const names[] = {
        "http_proxy",   "https_proxy",   "HTTPS_PROXY",    "ALL_PROXY",     "all_proxy",
        "NO_PROXY",     "no_proxy",      "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR",
        "OPENSSL_CONF", "SSLKEYLOGFILE", "HTTP_PROXY",
    };
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        env_hide(names[i]);
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
