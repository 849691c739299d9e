/* yaml_write.c - JSON as YAML that a person edits.
 *
 * Written here and not by libfyaml's emitter, which keeps the quotes of keys and writes
 * texts of several lines in one: the two things that make JSON hard to edit by hand.
 * Texts are quoted as in JSON, which every YAML reader takes as text, whatever they hold.
 */
#include "base/yaml.h"

#include "base/json.h"
#include "base/str.h"

/* A key that reads the same without quotes. */
static bool is_plain_key(const char *key)
{
    size_t letters = strspn(key, "abcdefghijklmnopqrstuvwxyz_");
    return letters > 0 && !key[letters] && !streq(key, "true") && !streq(key, "false") && !streq(key, "null");
}

/* Whether "|" can hold the text: several lines, nothing that YAML would take away or refuse. */
static bool is_block(const char *text)
{
    size_t len = strlen(text);
    if (!strchr(text, '\n') || *text == ' ' || *text == '\n' || text[len - 1] == '\n')
        return false;
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] < ' ' && text[i] != '\n')
            return false;
    return true;
}

static void add_scalar(struct str *out, json_t *value, int indent)
{
    const char *text = json_string_value(value);
    if (!text || !is_block(text)) {
        str_add_char(out, ' ');
        json_write(out, value);
        str_add_char(out, '\n');
        return;
    }
    str_add(out, " |-\n");
    for (size_t len; *text; text += len) {
        len = strcspn(text, "\n");
        if (len)
            str_addf(out, "%*s%.*s", indent, "", (int)len, text);
        len += text[len] == '\n';
        str_add_char(out, '\n');
    }
}

static void add_value(struct str *out, json_t *value, int indent);

/* `first`: the first member stands behind a "- " that is there already. */
static void add_members(struct str *out, json_t *map, int indent, bool first)
{
    const char *key;
    json_t *value;
    json_object_foreach(map, key, value) {
        str_addf(out, "%*s", first ? 0 : indent, "");
        first = false;
        if (is_plain_key(key)) {
            str_add(out, key);
        } else {
            json_t *quoted = json_string(key);
            json_write(out, quoted);
            json_decref(quoted);
        }
        str_add_char(out, ':');
        add_value(out, value, indent + 2);
    }
}

static bool all_scalars(json_t *list)
{
    size_t i;
    json_t *item;
    json_array_foreach(list, i, item)
        if (json_is_object(item) || json_is_array(item))
            return false;
    return true;
}

static void add_items(struct str *out, json_t *list, int indent)
{
    size_t i;
    json_t *item;
    json_array_foreach(list, i, item) {
        str_addf(out, "%*s-", indent, "");
        if (json_object_size(item)) {
            str_add_char(out, ' ');
            add_members(out, item, indent + 2, true);
        } else {
            add_value(out, item, indent + 2);
        }
    }
}

/* What stands behind "key:" or "-". */
static void add_value(struct str *out, json_t *value, int indent)
{
    if (json_object_size(value)) {
        str_add_char(out, '\n');
        add_members(out, value, indent, false);
    } else if (json_is_array(value) && !all_scalars(value)) {
        str_add_char(out, '\n');
        add_items(out, value, indent);
    } else {
        add_scalar(out, value, indent);
    }
}

void yaml_write(struct str *out, json_t *value)
{
    if (json_object_size(value))
        add_members(out, value, 0, false);
    else if (json_array_size(value))
        add_items(out, value, 0);
    else
        json_write(out, value);
}
