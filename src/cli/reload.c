// SPDX-License-Identifier: MIT
// bearerd reload: have a running bearerd read its configuration again. By its admin listener, which
// says what came of it; by a signal where there is none that takes orders, which cannot.
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/admin_client.h"
#include "cli/command.h"

#define TIMEOUT_MS 30000

// -- by the admin listener ---------------------------------------------------------------------

enum told { TOLD_DONE, TOLD_REFUSED, NOT_TOLD };

// NOT_TOLD: nobody is there, or orders are not for us; what to say of it is in err.
static enum told ask_admin(const struct admin_client *client, struct err *err)
{
    struct admin_answer answer;
    enum told told = NOT_TOLD;
    if (!admin_client_ask(client, "POST /reload", TIMEOUT_MS, &answer, err)) {
        admin_answer_fini(&answer);
        return NOT_TOLD;
    }
    if (answer.status >= 200 && answer.status < 300)
        told = TOLD_DONE;
    else if (answer.status == 401 || answer.status == 403)
        err_set(err, "%s: the order is not taken without the right key", client->address);
    else
        told = TOLD_REFUSED;
    if (told == TOLD_REFUSED)
        admin_answer_complain(&answer, "");
    admin_answer_fini(&answer);
    if (told == TOLD_DONE)
        puts("reloaded");
    return told;
}

// -- by a signal -------------------------------------------------------------------------------

// The name a process goes by, as far as it may be read.
static bool read_name(const char *path, struct buf *out)
{
    buf_init(out, 64);
    return file_read(path, out, NULL);
}

// A number in a file may have become another process's.
static bool is_one_of_ours(uint64_t pid)
{
    char path[64];
    struct buf theirs, ours;
    snprintf(path, sizeof path, "/proc/%llu/comm", (unsigned long long)pid);
    bool is_known = read_name(path, &theirs);
    is_known = read_name("/proc/self/comm", &ours) && is_known;
    bool is_ours = !is_known || str_eq(buf_str(&theirs), buf_str(&ours));
    buf_fini(&theirs);
    buf_fini(&ours);
    return is_ours;
}

static bool read_pid_file(const char *path, uint64_t *out_pid, struct err *err)
{
    struct buf text;
    buf_init(&text, 64);
    bool ok = file_read(path, &text, err);
    struct str number = buf_str(&text);
    if (ok && str_ends(number, STR("\n")))
        number.len--;
    if (ok && !str_to_u64(number, out_pid))
        ok = err_set(err, "%s holds no process's number", path);
    buf_fini(&text);
    return ok;
}

static int send_signal(uint64_t pid)
{
    if (!pid || pid > INT32_MAX || !is_one_of_ours(pid)) {
        fprintf(stderr, "reload: process %llu is not bearerd\n", (unsigned long long)pid);
        return EXIT_FAILED;
    }
    if (kill((pid_t)pid, SIGHUP)) {
        fprintf(stderr, "reload: process %llu: %s\n", (unsigned long long)pid, strerror(errno));
        return EXIT_FAILED;
    }
    printf("asked process %llu to reload; its log says what came of it\n", (unsigned long long)pid);
    return EXIT_DONE;
}

// -- the command line --------------------------------------------------------------------------

static int complain(const char *why)
{
    fprintf(stderr, "reload: %s\n", why);
    return EXIT_FAILED;
}

// The file may be broken: that is what the one who runs on it will say.
static int reload_by_pid_file(const struct config *config)
{
    struct err err;
    uint64_t pid;
    if (read_pid_file(config->pid_file, &pid, &err))
        return send_signal(pid);
    return complain(err.text);
}

// One who was started before [admin] was written into the file is found by its pid_file.
static int reload_by_config(const struct admin_client *client, bool is_named)
{
    struct err err = {0};
    const struct config *config = client->config;
    enum told told = client->address ? ask_admin(client, &err) : NOT_TOLD;
    if (told != NOT_TOLD)
        return told == TOLD_DONE ? EXIT_DONE : EXIT_FAILED;
    if (config && config->pid_file && !is_named)
        return reload_by_pid_file(config);
    if (client->address)
        return complain(err.text);
    if (client->is_elsewhere) {
        admin_client_explain(client, &err);
        complain(err.text);
        return EXIT_NO_ANSWER;
    }
    fprintf(stderr,
            "reload: %s has neither [admin] listen nor pid_file, so there is no way to find who "
            "runs on it; name the process (--pid) or its admin listener (--admin)\n",
            config ? config->path : "the configuration");
    return EXIT_FAILED;
}

int cli_reload(int argc, char **argv)
{
    static const struct option longs[] = {
        ADMIN_LONG_OPTIONS, {"pid", required_argument, NULL, 'p'}, {0}};
    struct admin_options options = {0};
    struct admin_client client;
    struct err err;
    uint64_t pid = 0; // 0: the one in pid_file
    int option;
    while ((option = getopt_long(argc, argv, "c:", longs, NULL)) != -1) {
        if (option == 'p' && str_to_u64(str_of(optarg), &pid) && pid)
            continue;
        if (!admin_option_take(&options, option, optarg))
            return command_usage(argv[0], option == 'p' ? "--pid wants a number" : NULL);
    }
    if (optind < argc)
        return command_usage(argv[0], "unexpected argument");
    if (pid)
        return send_signal(pid);
    int code = admin_client_open(&client, &options, &err)
                   ? reload_by_config(&client, options.address != NULL)
                   : complain(err.text);
    admin_client_close(&client);
    return code;
}
