// SPDX-License-Identifier: MIT
// bearerd status: how a running bearerd does, for people (in the terminal, once or live), for
// programs (--json) and for health checks (--quiet). Exit code 0: ready; 1: it runs and is not; 3:
// it could not be asked.
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/admin_client.h"
#include "cli/command.h"
#include "cli/probe.h"
#include "cli/status_screen.h"
#include "cli/terminal.h"

#define TIMEOUT_MS  5000
#define INTERVAL_MS 2000
#define PLAIN_WIDTH 120 // where there is no terminal
#define OUT_MAX     ((size_t)64 * 1024 * 1024)

enum form { FORM_SCREEN, FORM_WATCH, FORM_JSON, FORM_QUIET };

static int complain(const char *why)
{
    fprintf(stderr, "status: %s\n", why);
    return EXIT_NO_ANSWER;
}

// -- one answer --------------------------------------------------------------------------------

struct look {
    struct admin_answer answer;
    struct json_t *document;
};

static void look_fini(struct look *look)
{
    json_in_free(look->document);
    admin_answer_fini(&look->answer);
}

static bool look_refused(const struct admin_client *client, const struct look *look,
                         struct err *err)
{
    char *detail = admin_text_plain(json_in_text(look->document, "detail"), false);
    err_set(err, "%s: answered with %d%s%s", client->address, look->answer.status,
            *detail ? ": " : "", detail);
    mem_free(detail);
    return false;
}

static bool look_take(struct look *look, const struct admin_client *client, struct err *err)
{
    *look = (struct look){0};
    if (!admin_client_ask(client, "GET /status.json", TIMEOUT_MS, &look->answer, err))
        return false;
    look->document = json_in_parse(look->answer.body, err);
    if (look->document && look->answer.status != 200)
        return look_refused(client, look, err);
    return look->document != NULL;
}

static int code_of(const struct look *look)
{
    return json_in_is_true(look->document, "process.ready") ? EXIT_DONE : EXIT_FAILED;
}

// -- the forms ---------------------------------------------------------------------------------

static void print_screen(const struct look *look)
{
    struct buf out;
    unsigned rows;
    buf_init(&out, OUT_MAX);
    struct screen screen = {.out = &out,
                            .width = terminal_width(stdout, PLAIN_WIDTH, &rows),
                            .has_colour = terminal_wants_colour(stdout),
                            .has_blocks = terminal_wants_utf8(stdout)};
    status_screen_write(&screen, look->document);
    fwrite(out.ptr, 1, out.len, stdout); // main tells if it fails
    buf_fini(&out);
}

// As it is; on a terminal that is as true as it can be, for bearerd writes ASCII alone.
static void print_json(struct str body)
{
    char *plain = isatty(STDOUT_FILENO) ? admin_text_plain(body, true) : NULL;
    if (plain)
        fputs(plain, stdout);
    else
        fwrite(body.ptr, 1, body.len, stdout);
    mem_free(plain);
}

static int show_once(const struct admin_client *client, enum form form)
{
    struct look look;
    struct err err;
    int code = EXIT_NO_ANSWER;
    if (!look_take(&look, client, &err)) {
        complain(err.text);
    } else {
        code = code_of(&look);
        if (form == FORM_JSON)
            print_json(look.answer.body);
        else
            print_screen(&look);
    }
    look_fini(&look);
    return code;
}

// One that is away may come back, after a restart say.
static void draw(void *arg, struct screen *screen)
{
    const struct admin_client *client = arg;
    struct look look;
    struct err err;
    if (look_take(&look, client, &err)) {
        status_screen_write(screen, look.document);
    } else {
        screen_wrapped(screen, PAINT_RED, 0, STR("bearerd cannot be asked:"));
        screen_wrapped(screen, PAINT_PLAIN, 0, str_of(err.text));
    }
    look_fini(&look);
}

static int watch(struct admin_client *client)
{
    if (!isatty(STDOUT_FILENO))
        return command_usage("status", "--watch needs a terminal to show it on");
    return terminal_watch(stdout, INTERVAL_MS, draw, client) ? EXIT_DONE : EXIT_FAILED;
}

// By /readyz, for which no key is needed.
static int check_quietly(const struct admin_client *client)
{
    struct admin_answer answer;
    struct err err;
    int code = EXIT_NO_ANSWER;
    if (!admin_client_ask(client, "GET /readyz", TIMEOUT_MS, &answer, &err))
        complain(err.text);
    else if (answer.status == 200)
        code = EXIT_DONE;
    else
        admin_answer_complain(&answer, "status: ");
    if (answer.status == 503)
        code = EXIT_FAILED;
    admin_answer_fini(&answer);
    return code;
}

// Where there is no admin listener: does the proxy answer? More cannot be known then, and a health
// check that is the same for every configuration is worth having.
static int check_proxy(const struct admin_client *client)
{
    struct err err;
    const char *address = admin_client_proxy(client, &err);
    if (address && probe_proxy(address, TIMEOUT_MS, &err))
        return EXIT_DONE;
    return complain(err.text);
}

// -- the command line --------------------------------------------------------------------------

static int run(struct admin_client *client, enum form form)
{
    struct err err;
    if (!client->address && !client->is_elsewhere && form == FORM_QUIET)
        return check_proxy(client);
    if (!client->address) {
        admin_client_explain(client, &err);
        fprintf(stderr, "status: %s; `bearerd ping` asks the proxy whether it answers\n", err.text);
        return EXIT_NO_ANSWER;
    }
    switch (form) {
    case FORM_WATCH:
        return watch(client);
    case FORM_QUIET:
        return check_quietly(client);
    case FORM_JSON:
    case FORM_SCREEN:
        break;
    }
    return show_once(client, form);
}

int cli_status(int argc, char **argv)
{
    static const struct option longs[] = {ADMIN_LONG_OPTIONS,
                                          {"watch", no_argument, NULL, FORM_WATCH},
                                          {"json", no_argument, NULL, FORM_JSON},
                                          {"quiet", no_argument, NULL, FORM_QUIET},
                                          {0}};
    struct admin_options options = {0};
    struct admin_client client;
    struct err err;
    enum form form = FORM_SCREEN;
    int option;
    while ((option = getopt_long(argc, argv, "c:", longs, NULL)) != -1) {
        if (admin_option_take(&options, option, optarg))
            continue;
        if (option != FORM_WATCH && option != FORM_JSON && option != FORM_QUIET)
            return command_usage(argv[0], NULL);
        if (form != FORM_SCREEN && form != (enum form)option)
            return command_usage(argv[0], "one of --watch, --json and --quiet");
        form = (enum form)option;
    }
    if (optind < argc)
        return command_usage(argv[0], "unexpected argument");
    int code = admin_client_open(&client, &options, &err) ? run(&client, form) : complain(err.text);
    admin_client_close(&client);
    return code;
}
