// SPDX-License-Identifier: MIT
// bearerd token: gets a token as `serve` would and prints it, for people and scripts that talk to
// the API themselves. Standard output carries what was asked for and nothing else; nothing at all
// when one of several cannot be had.
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "cli/command.h"
#include "cli/live.h"
#include "config/settings.h"
#include "config/slots_extra.h"
#include "daemon/daemon.h"
#include "token/jwt.h"

#define DECODED_MAX ((size_t)1024 * 1024)

enum form { FORM_TOKEN, FORM_DECODED, FORM_HEADER };

struct wish {
    const char *config_path;
    const char *route, *credential;
    struct config_strings scopes; // words are our own; count 0: none said
    bool has_scope;
    enum form form;
    struct live_token *tokens; // what it comes down to
    size_t count;
};

// -- which tokens ------------------------------------------------------------------------------

struct names { // looks for one among all of a kind, and for the nearest to it
    struct str wanted;
    unsigned best;
    const char *nearest;
};

static bool is_named(struct names *names, const char *name)
{
    unsigned distance = str_distance(names->wanted, str_of(name), names->best);
    if (distance < names->best) {
        names->best = distance;
        names->nearest = name;
    }
    return distance == 0;
}

static bool report_unknown(const struct names *names, const char *kind, struct err *err)
{
    return err_set(err, "there is no [%s %.*s]%s%s%s", kind, STR_ARG(names->wanted),
                   names->nearest ? "; did you mean \"" : "", names->nearest ? names->nearest : "",
                   names->nearest ? "\"?" : "");
}

static struct names names_of(const char *wanted)
{
    return (struct names){str_of(wanted), nearest_limit(str_of(wanted)) + 1, NULL};
}

static const struct config_route *find_route(const struct config *config, const char *name,
                                             struct err *err)
{
    struct names names = names_of(name);
    for (size_t i = 0; i < config->route_count; i++)
        if (is_named(&names, config->routes[i]->name))
            return config->routes[i];
    report_unknown(&names, "route", err);
    return NULL;
}

static const struct config_credential *find_credential(const struct config *config,
                                                       const char *name, struct err *err)
{
    struct names names = names_of(name);
    for (size_t i = 0; i < config->credential_count; i++)
        if (is_named(&names, config->credentials[i]->name))
            return config->credentials[i];
    report_unknown(&names, "credential", err);
    return NULL;
}

static void wish_add(struct wish *wish, const struct config_slot *slot)
{
    wish->tokens[wish->count++].slot = slot;
}

static bool choose_by_credential(struct wish *wish, struct config *config, struct err *err)
{
    const struct config_credential *credential = find_credential(config, wish->credential, err);
    const struct config_slot *slot =
        credential
            ? slots_extra_get(config, credential, wish->has_scope ? &wish->scopes : NULL, err)
            : NULL;
    wish->tokens = mem_array(1, sizeof *wish->tokens);
    if (slot)
        wish_add(wish, slot);
    return slot != NULL;
}

static bool choose_by_route(struct wish *wish, struct config *config, struct err *err)
{
    const struct config_route *route = find_route(config, wish->route, err);
    const struct config_credential *only = NULL;
    if (!route || (wish->credential && !(only = find_credential(config, wish->credential, err))))
        return false;
    wish->tokens = mem_array(route->slot_count + 1, sizeof *wish->tokens);
    for (size_t i = 0; i < route->slot_count; i++)
        if (!only || route->slots[i]->credential == only)
            wish_add(wish, route->slots[i]);
    if (!wish->count)
        return err_set(err, "[route %s] uses no token%s%s", route->name, only ? " of " : "",
                       only ? only->name : "");
    if (wish->count > 1 && wish->form != FORM_HEADER)
        return err_set(err,
                       "[route %s] uses tokens of %zu credentials: say which with --credential, "
                       "or --header for all of them",
                       route->name, wish->count);
    return true;
}

// -- what is printed ---------------------------------------------------------------------------

static bool write_token(const struct wish *wish, const struct token *token, struct buf *out,
                        struct err *err)
{
    if (wish->form == FORM_DECODED)
        return jwt_print(token->value, out, err);
    struct str text = wish->form == FORM_HEADER ? token->header_value : token->value;
    return (wish->form != FORM_HEADER ||
            (buf_append(out, token->header_name) && buf_append(out, STR(": ")))) &&
                   buf_append(out, text) && buf_append_char(out, '\n')
               ? true
               : err_set(err, "the token is too long to print");
}

static void print_remarks(const struct wish *wish)
{
    if (wish->form == FORM_DECODED)
        fprintf(stderr, "bearerd token: the signature was not verified\n");
    for (size_t i = 0; i < wish->count; i++)
        if (wish->tokens[i].token->binding && wish->form != FORM_DECODED)
            fprintf(stderr,
                    "bearerd token: %s's token is bound to a key (DPoP): it is of no use without "
                    "proofs made with that key\n",
                    wish->tokens[i].slot->credential->name);
}

static bool print_failures(const struct wish *wish)
{
    bool is_any = false;
    for (size_t i = 0; i < wish->count; i++) {
        const struct live_token *live = &wish->tokens[i];
        if (live->failure)
            fprintf(stderr, "bearerd token: %s: %s\n", live->slot->credential->name,
                    live->failure->text);
        is_any |= live->failure != NULL;
    }
    return is_any;
}

static bool print_tokens(const struct wish *wish, struct err *err)
{
    struct buf out;
    buf_init(&out, DECODED_MAX);
    bool is_done = true;
    for (size_t i = 0; is_done && i < wish->count; i++)
        is_done = write_token(wish, wish->tokens[i].token, &out, err);
    if (is_done) {
        print_remarks(wish);
        is_done = fwrite(out.ptr, 1, out.len, stdout) == out.len || err_errno(err, "cannot write");
    }
    buf_fini(&out);
    return is_done;
}

// -- the journey -------------------------------------------------------------------------------

static int report(int code, const struct err *err)
{
    fprintf(stderr, "bearerd token: %s\n", err->text);
    return code;
}

static int get_and_print(struct wish *wish, struct config *config)
{
    struct err err;
    enum log_level level = (enum log_level)config->log_level;
    log_set_level(level > LOG_WARN ? level : LOG_WARN);
    if (!daemon_prepare_process(&err) || !live_get(config, true, wish->tokens, wish->count, &err))
        return report(EXIT_FAILED, &err);
    if (print_failures(wish))
        return EXIT_FAILED;
    return print_tokens(wish, &err) ? EXIT_DONE : report(EXIT_FAILED, &err);
}

static int run(struct wish *wish)
{
    struct config_faults faults = {0};
    struct err err;
    struct config *config = config_load(wish->config_path, &faults);
    int code = EXIT_FAILED;
    for (size_t i = 0; i < faults.count; i++)
        fprintf(stderr, "%s:%u: %s\n", faults.items[i].file, faults.items[i].line,
                faults.items[i].message);
    if (config) {
        bool is_chosen = wish->route ? choose_by_route(wish, config, &err)
                                     : choose_by_credential(wish, config, &err);
        code = is_chosen ? get_and_print(wish, config) : report(EXIT_USAGE, &err);
    }
    live_fini(wish->tokens, wish->count);
    mem_free(wish->tokens);
    config_unref(config);
    config_faults_fini(&faults);
    return code;
}

// -- the command line --------------------------------------------------------------------------

static int usage(const char *why)
{
    fprintf(
        stderr,
        "bearerd token: %s\n"
        "usage: bearerd token [-c FILE] --route NAME [--credential NAME] [--decode | --header]\n"
        "       bearerd token [-c FILE] --credential NAME [--scope SCOPE]... "
        "[--decode | --header]\n",
        why);
    return EXIT_USAGE;
}

// Words, so that --scope "a b" and --scope a --scope b are the same.
static void add_scopes(struct config_strings *scopes, const char *text)
{
    struct str rest = str_of(text), word;
    while (str_word(&rest, &word)) {
        scopes->items = mem_realloc(scopes->items, (scopes->count + 1) * sizeof *scopes->items);
        scopes->items[scopes->count++] = str_dup(word);
    }
}

static const char *read_options(struct wish *wish, int argc, char **argv)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"route", required_argument, NULL, 'r'},
                                            {"credential", required_argument, NULL, 'C'},
                                            {"scope", required_argument, NULL, 's'},
                                            {"decode", no_argument, NULL, 'd'},
                                            {"header", no_argument, NULL, 'h'},
                                            {0}};
    int option;
    opterr = 0;
    while ((option = getopt_long(argc, argv, "c:", options, NULL)) != -1) {
        switch (option) {
        case 'c':
            wish->config_path = optarg;
            break;
        case 'r':
            wish->route = optarg;
            break;
        case 'C':
            wish->credential = optarg;
            break;
        case 's':
            wish->has_scope = true;
            add_scopes(&wish->scopes, optarg);
            break;
        case 'd':
        case 'h':
            if (wish->form != FORM_TOKEN)
                return "--decode and --header do not go together";
            wish->form = option == 'd' ? FORM_DECODED : FORM_HEADER;
            break;
        default:
            return "unknown option, or one without its value";
        }
    }
    if (optind < argc)
        return "unexpected argument";
    if (!wish->route && !wish->credential)
        return "say whose token: --route or --credential";
    return wish->route && wish->has_scope ? "a route has its own scopes" : NULL;
}

int cli_token(int argc, char **argv)
{
    struct wish wish = {.config_path = DEFAULT_CONFIG_PATH};
    const char *why = read_options(&wish, argc, argv);
    int code = why ? usage(why) : run(&wish);
    for (size_t i = 0; i < wish.scopes.count; i++)
        mem_free(wish.scopes.items[i]);
    mem_free(wish.scopes.items);
    return code;
}
