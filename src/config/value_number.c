// SPDX-License-Identifier: MIT
// See value_number.h. And what a setting's values may be, in words.
#include "config/value_number.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "config/value.h"

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit duration_units[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000},
                                             {"s", 1000},     {"ms", 1},      {NULL, 0}};
static const struct unit size_units[] = {{"t", 1ull << 40}, {"g", 1ull << 30}, {"m", 1u << 20},
                                         {"k", 1u << 10},   {"", 1},           {NULL, 0}};
static const struct unit no_units[] = {{"", 1}, {NULL, 0}};

static const struct unit *units_of(enum setting_type type)
{
    return type == SETTING_DURATION ? duration_units : type == SETTING_SIZE ? size_units : no_units;
}

static bool parse_octal(struct str text, uint64_t *out)
{
    *out = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '7')
            return false;
        *out = *out * 8 + (uint64_t)(text.ptr[i] - '0');
    }
    return text.len > 0 && text.len <= 5;
}

static bool parse_with_unit(const struct unit *units, struct str text, uint64_t *out)
{
    struct str digits = text;
    while (digits.len && (digits.ptr[digits.len - 1] < '0' || digits.ptr[digits.len - 1] > '9'))
        digits.len--;
    struct str name = str_from(text, digits.len);
    uint64_t number;
    if (!str_to_u64(digits, &number))
        return false;
    for (; units->name; units++)
        if (str_eq_nocase(name, str_of(units->name)) && number <= UINT64_MAX / units->factor) {
            *out = number * units->factor;
            return true;
        }
    *out = 0;
    return number == 0 && !name.len; // 0 needs no unit
}

static bool refuse(const struct setting *setting, struct str text, struct err *err)
{
    struct buf words;
    uint64_t bare;
    buf_init(&words, 512);
    value_describe(setting, &words);
    if (setting->type == SETTING_DURATION && str_to_u64(text, &bare))
        err_set(err, "\"%.*s\" has no unit; write %.*ss, or %.*sms", STR_ARG(text), STR_ARG(text),
                STR_ARG(text));
    else
        err_set(err, "\"%.*s\" is not %.*s", STR_ARG(text), STR_ARG(buf_str(&words)));
    buf_fini(&words);
    return false;
}

bool value_number(const struct setting *setting, struct str text, uint64_t *out, struct err *err)
{
    uint64_t value;
    if (setting->zero && str_eq(text, str_of(setting->zero))) {
        *out = 0;
        return true;
    }
    bool ok = setting->type == SETTING_MODE
                  ? parse_octal(text, &value)
                  : parse_with_unit(units_of(setting->type), text, &value);
    if (!ok)
        return refuse(setting, text, err);
    bool is_off = setting->zero && value == 0;
    if (!is_off && (value < setting->min || value > setting->max))
        return refuse(setting, text, err);
    *out = value;
    return true;
}

// Cuts `digits` digits and what must follow them off *rest.
static bool cut_number(struct str *rest, size_t digits, struct str follow, int *out)
{
    uint64_t value;
    if (rest->len < digits || !str_to_u64((struct str){rest->ptr, digits}, &value))
        return false;
    *rest = str_from(*rest, digits);
    *out = (int)value;
    if (!str_starts(*rest, follow))
        return false;
    *rest = str_from(*rest, follow.len);
    return true;
}

static bool parse_rfc3339(struct str text, int64_t *out)
{
    struct tm tm = {0};
    bool ok =
        cut_number(&text, 4, STR("-"), &tm.tm_year) && cut_number(&text, 2, STR("-"), &tm.tm_mon) &&
        cut_number(&text, 2, STR("T"), &tm.tm_mday) &&
        cut_number(&text, 2, STR(":"), &tm.tm_hour) && cut_number(&text, 2, STR(":"), &tm.tm_min) &&
        cut_number(&text, 2, STR("Z"), &tm.tm_sec) && !text.len;
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    struct tm given = tm;
    *out = ok ? timegm(&tm) : 0;
    // timegm() takes the 31st of February for the 3rd of March.
    return *out > 0 && tm.tm_mon == given.tm_mon && tm.tm_hour == given.tm_hour &&
           tm.tm_min == given.tm_min && tm.tm_sec == given.tm_sec;
}

bool value_time(struct str text, int64_t *out, struct err *err)
{
    uint64_t epoch;
    if (str_to_u64(text, &epoch) && epoch > 0 && epoch <= INT64_MAX / 1000) {
        *out = (int64_t)epoch;
        return true;
    }
    return parse_rfc3339(text, out) ||
           err_set(err,
                   "\"%.*s\" is neither a time in UTC, as 2030-01-31T12:00:00Z is, nor seconds "
                   "since 1970",
                   STR_ARG(text));
}

void value_number_text(enum setting_type type, uint64_t value, char *out)
{
    const struct unit *unit = units_of(type);
    if (type == SETTING_MODE) {
        snprintf(out, 32, "%04llo", (unsigned long long)value);
        return;
    }
    while (unit[1].name && (value == 0 || value % unit->factor))
        unit++;
    snprintf(out, 32, "%llu%s", (unsigned long long)(value / unit->factor),
             value ? unit->name : "");
}

static const char *noun_of(const struct setting *setting)
{
    static const char *const nouns[] = {
        [SETTING_NUMBER] = "a number",
        [SETTING_SIZE] = "a size",
        [SETTING_DURATION] = "a duration",
        [SETTING_MODE] = "an octal number",
        [SETTING_BOOL] = "yes or no",
        [SETTING_SECRET] = "env:NAME, file:PATH, credential:NAME or the secret itself",
        [SETTING_TIME] = "a time in UTC, as 2030-01-31T12:00:00Z, or seconds since 1970",
        [SETTING_URL] = "a URL",
        [SETTING_FILE] = "the path of a readable file",
        [SETTING_PATH] = "the path of a file",
        [SETTING_HEADERS] = "Name: value",
        [SETTING_PARAMS] = "name value",
        [SETTING_MATCHES] = "[METHOD ...] PATTERN",
        [SETTING_LIST] = "words separated by spaces",
    };
    const char *noun = setting->type < ARRAY_LEN(nouns) ? nouns[setting->type] : NULL;
    return noun ? noun : "text";
}

static void append(struct buf *out, const char *text)
{
    if (!buf_append(out, str_of(text)))
        buf_clear(out);
}

static void describe_choices(const struct setting *setting, struct buf *out)
{
    for (size_t i = 0; setting->choices[i]; i++) {
        if (i > 0)
            append(out, setting->choices[i + 1] ? ", " : " or ");
        append(out, setting->choices[i]);
    }
}

void value_describe(const struct setting *setting, struct buf *out)
{
    if (setting->choices) {
        describe_choices(setting, out);
        return;
    }
    append(out, noun_of(setting));
    if (setting->max) {
        char min[32], max[32];
        value_number_text(setting->type, setting->min, min);
        value_number_text(setting->type, setting->max, max);
        append(out, " from ");
        append(out, min);
        append(out, " to ");
        append(out, max);
    }
    if (setting->zero) {
        append(out, ", or ");
        append(out, setting->zero);
    }
}
