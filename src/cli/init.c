// SPDX-License-Identifier: MIT
// bearerd init: a first configuration from a few options, checked before it is put in its place.
// What is missing is asked for, if somebody sits there. A secret is never taken: only where it is.
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/init_text.h"
#include "cli/live.h"
#include "config/config.h"
#include "daemon/daemon.h"

#define TEXT_MAX ((size_t)256 * 1024)

struct init {
    struct init_wish wish;
    const char *output;
    bool is_forced, is_tried;
    char *kept[8]; // what was asked for and made, to be freed
    size_t kept_count;
};

static int fail(const struct err *err)
{
    fprintf(stderr, "init: %s\n", err->text);
    return EXIT_FAILED;
}

// -- asking ------------------------------------------------------------------------------------

static bool ask(struct init *init, const char **field, const char *question)
{
    char line[4096];
    if (*field)
        return true;
    printf("%s: ", question);
    if (fflush(stdout) || !fgets(line, sizeof line, stdin))
        return false;
    struct str answer = str_trim((struct str){line, strcspn(line, "\r\n")});
    *field = init->kept[init->kept_count++] = str_dup(answer);
    return answer.len > 0;
}

static bool complete(struct init *init, struct err *err)
{
    struct init_wish *wish = &init->wish;
    bool may_ask = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
    if (may_ask &&
        ((!wish->issuer && !ask(init, &wish->token_url, "token endpoint (URL)")) ||
         !ask(init, &wish->client_id, "client id") || !ask(init, &wish->upstream, "API (URL)")))
        return err_set(err, "that is needed");
    if (!wish->token_url == !wish->issuer)
        return err_set(err, "wants --token-url, or --issuer in its place");
    if (!wish->client_id)
        return err_set(err, "wants --client-id");
    if (wish->secret_file && wish->secret_env)
        return err_set(err, "--secret-file and --secret-env do not go together");
    return wish->upstream || err_set(err, "wants --upstream");
}

// In the configuration a relative path counts from its folder; here it was said from this one.
static const char *path_from_here(struct init *init, const char *path)
{
    if (!path || *path == '/' || !strchr(init->output, '/'))
        return path;
    char here[4096], whole[8192];
    if (!getcwd(here, sizeof here))
        return path;
    snprintf(whole, sizeof whole, "%s/%s", here, path);
    return init->kept[init->kept_count++] = mem_strdup(whole);
}

// -- writing -----------------------------------------------------------------------------------

static bool write_all(int fd, struct str bytes, const char *path, struct err *err)
{
    while (bytes.len) {
        ssize_t n = write(fd, bytes.ptr, bytes.len);
        if (n < 0)
            return err_errno(err, "cannot write %s", path);
        bytes = str_from(bytes, (size_t)n);
    }
    return true;
}

// Beside its place, so that it can be moved there in one go, and relative paths count from there.
static char *write_draft(const struct init *init, struct str bytes, struct err *err)
{
    struct buf path;
    buf_init(&path, 4096);
    if (!buf_printf(&path, "%s.XXXXXX", init->output)) {
        err_set(err, "the path is too long");
        buf_fini(&path);
        return NULL;
    }
    char *draft = buf_take(&path);
    int fd = mkstemp(draft); // mode 0600
    bool ok = fd >= 0 || err_errno(err, "cannot write %s", init->output);
    ok = ok && write_all(fd, bytes, init->output, err);
    if (fd >= 0 && close(fd) && ok)
        ok = err_errno(err, "cannot write %s", init->output);
    if (ok)
        return draft;
    if (fd >= 0)
        unlink(draft);
    mem_free(draft);
    return NULL;
}

// A variable that is not set here will be where bearerd runs. Returns whether it is missing.
static bool stand_in_for_secret(const char *variable)
{
    const char *value = variable ? getenv(variable) : NULL;
    bool is_missing = variable && !(value && *value);
    if (is_missing)
        setenv(variable, "-", 1); // a name that is none is found by the check
    return is_missing;
}

static bool check_draft(const char *draft)
{
    struct config_faults faults = {0};
    struct config *config = check_inspect(draft, &faults);
    for (size_t i = 0; i < faults.count; i++)
        fprintf(stderr, "init: %s\n", faults.items[i].message);
    bool is_ok = faults.count == 0;
    config_unref(config);
    config_faults_fini(&faults);
    return is_ok;
}

static bool put_in_place(const struct init *init, const char *draft, struct err *err)
{
    int result = init->is_forced ? rename(draft, init->output) : link(draft, init->output);
    bool ok = result == 0;
    if (!ok && errno == EEXIST)
        err_set(err, "%s is there already; --force writes over it", init->output);
    else if (!ok)
        err_errno(err, "cannot write %s", init->output);
    if (!ok || !init->is_forced)
        unlink(draft);
    return ok;
}

static int write_config(const struct init *init)
{
    struct buf out;
    struct err err;
    char *draft = NULL;
    int code = EXIT_FAILED;
    buf_init(&out, TEXT_MAX);
    if (!init->is_forced && access(init->output, F_OK) == 0)
        err_set(&err, "%s is there already; --force writes over it", init->output);
    else if (init_text_write(&init->wish, &out, &err))
        draft = write_draft(init, buf_str(&out), &err);
    buf_fini(&out);
    if (!draft)
        return fail(&err);
    if (!check_draft(draft))
        unlink(draft);
    else
        code = put_in_place(init, draft, &err) ? EXIT_DONE : fail(&err);
    mem_free(draft);
    return code;
}

// -- what comes next ---------------------------------------------------------------------------

static void print_next(const struct init *init, bool lacks_secret)
{
    const struct init_wish *wish = &init->wish;
    printf("%s is written. Next:\n\n", init->output);
    if (lacks_secret)
        printf("  export %s=...\n", init_text_variable(wish));
    if (!init->is_tried)
        printf("  bearerd check --live -c %s\n", init->output);
    printf("  bearerd serve -c %s\n", init->output);
    if (!wish->listen || !str_starts(str_of(wish->listen), STR("unix:")))
        printf("  curl -i http://%s/\n", wish->listen ? wish->listen : "127.0.0.1:8080");
    putchar('\n');
}

static int run(const struct init *init)
{
    struct err err;
    if (init->is_tried && !daemon_prepare_process(&err))
        return fail(&err);
    bool lacks_secret = stand_in_for_secret(init_text_variable(&init->wish));
    int code = write_config(init);
    if (code != EXIT_DONE)
        return code;
    print_next(init, lacks_secret);
    if (!init->is_tried)
        return EXIT_DONE;
    if (!lacks_secret)
        return fflush(stdout) ? EXIT_FAILED : check_run(init->output, true);
    fprintf(stderr, "init: --try: the variable with the secret is not set\n");
    return EXIT_FAILED;
}

// -- the command line --------------------------------------------------------------------------

static bool add_scopes(struct buf *scopes, const char *words)
{
    return (!scopes->len || buf_append_char(scopes, ' ')) && buf_append(scopes, str_of(words));
}

static const struct option longs[] = {{"token-url", required_argument, NULL, 't'},
                                      {"issuer", required_argument, NULL, 'i'},
                                      {"client-id", required_argument, NULL, 'I'},
                                      {"secret-file", required_argument, NULL, 's'},
                                      {"secret-env", required_argument, NULL, 'e'},
                                      {"upstream", required_argument, NULL, 'u'},
                                      {"auth-method", required_argument, NULL, 'm'},
                                      {"ca-file", required_argument, NULL, 'a'},
                                      {"listen", required_argument, NULL, 'l'},
                                      {"admin", required_argument, NULL, 'A'},
                                      {"output", required_argument, NULL, 'o'},
                                      {"scope", required_argument, NULL, 'S'},
                                      {"force", no_argument, NULL, 'f'},
                                      {"try", no_argument, NULL, 'y'},
                                      {0}};

static bool option_take(struct init *init, int option, const char *value)
{
    struct init_wish *wish = &init->wish;
    const struct {
        int option;
        const char **field;
    } texts[] = {{'t', &wish->token_url},   {'i', &wish->issuer},     {'I', &wish->client_id},
                 {'s', &wish->secret_file}, {'e', &wish->secret_env}, {'u', &wish->upstream},
                 {'m', &wish->auth_method}, {'a', &wish->ca_file},    {'l', &wish->listen},
                 {'A', &wish->admin},       {'o', &init->output}};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        if (texts[i].option == option) {
            *texts[i].field = value;
            return true;
        }
    if (option == 'S')
        return add_scopes(&wish->scopes, value);
    init->is_forced |= option == 'f';
    init->is_tried |= option == 'y';
    return option == 'f' || option == 'y';
}

int cli_init(int argc, char **argv)
{
    struct init init = {.output = "bearerd.ini"};
    struct err err;
    int option, code = EXIT_DONE;
    buf_init(&init.wish.scopes, 4096);
    while (code == EXIT_DONE && (option = getopt_long(argc, argv, "", longs, NULL)) != -1)
        if (!option_take(&init, option, optarg))
            code = command_usage(argv[0], NULL);
    if (code == EXIT_DONE && optind < argc)
        code = command_usage(argv[0], "unexpected argument");
    if (code == EXIT_DONE && !complete(&init, &err))
        code = command_usage(argv[0], err.text);
    if (code == EXIT_DONE) {
        init.wish.secret_file = path_from_here(&init, init.wish.secret_file);
        init.wish.ca_file = path_from_here(&init, init.wish.ca_file);
        code = run(&init);
    }
    for (size_t i = 0; i < init.kept_count; i++)
        mem_free(init.kept[i]);
    buf_fini(&init.wish.scopes);
    return code;
}
