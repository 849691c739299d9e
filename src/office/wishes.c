/* wishes.c - the records of wishes.h. */
#include "office/wishes.h"

enum { MAX_ID = 200, MAX_PATH = 4096, MAX_TEXT = 64 << 20 };

#define PROJECT(type) FIELD(type, project, FIELD_TEXT, .required = true, .max = MAX_ID, .doc = "the project's id")

#define MODELS(type) FIELD(type, models, FIELD_TEXTS, .max = 100, .doc = "words as --model takes them; none: by the routes")
#define THING(type, ...) FIELD(type, thing, FIELD_TEXT, .max = MAX_ID, __VA_ARGS__)

static const char *const dev_names[] = { "ask", "continue", "replace", NULL };
static const struct field create_fields[] = {
    FIELD(struct project_wish, name, FIELD_TEXT, .max = MAX_PATH, .doc = "empty: from the specification's title or the idea"),
    FIELD(struct project_wish, idea, FIELD_TEXT, .max = MAX_TEXT, .doc = "either this"),
    FIELD(struct project_wish, spec, FIELD_TEXT, .max = MAX_TEXT, .doc = "or a specification in Markdown"),
    FIELD(struct project_wish, stack, FIELD_TEXT, .max = MAX_ID, .doc = "empty: found, or proposed by the Architect"),
    FIELD(struct project_wish, repo, FIELD_TEXT, .max = MAX_PATH, .doc = "a repository to build on, an absolute path"),
    FIELD(struct project_wish, out, FIELD_TEXT, .max = MAX_PATH, .doc = "where the clone of the result goes, an absolute path"),
    FIELD(struct project_wish, dev, FIELD_ENUM, .choices = dev_names, .doc = "what to do with a DEV branch that is there"),
    FIELD(struct project_wish, pairs, FIELD_INT, .max = 1000, .doc = "at work at once; 0: as the settings say"),
    FIELD(struct project_wish, coverage_target, FIELD_INT, .min = -1, .max = 100, .absent = -1,
          .doc = "percent of lines; -1: as the settings say"),
    MODELS(struct project_wish),
};
const struct record office_create_record = RECORD("create", struct project_wish, create_fields);

static const struct field project_fields[] = { PROJECT(struct office_project) };
const struct record office_project_record = RECORD("project", struct office_project, project_fields);

static const struct field created_fields[] = {
    PROJECT(struct office_created),
    FIELD(struct office_created, note, FIELD_TEXT, .doc = "what the person should know of the models"),
};
const struct record office_created_record = RECORD("created", struct office_created, created_fields);

#define SHOWN(type) FIELD(type, shown, FIELD_TEXT, .max = MAX_ID, .doc = "which one the person saw: spec-3, or the digest of a plan; " \
                                                                        "empty: whatever waits now")
static const struct field approval_fields[] = { PROJECT(struct office_approval), SHOWN(struct office_approval) };
const struct record office_approval_record = RECORD("approval", struct office_approval, approval_fields);

static const struct field revision_fields[] = {
    PROJECT(struct office_revision),
    SHOWN(struct office_revision),
    FIELD(struct office_revision, text, FIELD_TEXT, .required = true, .max = MAX_TEXT,
          .doc = "what should be different, or the whole of it as the person edited it"),
};
const struct record office_revision_record = RECORD("revision", struct office_revision, revision_fields);

static const struct field place_fields[] = {
    PROJECT(struct office_place),
    FIELD(struct office_place, dir, FIELD_TEXT, .required = true, .max = MAX_PATH, .doc = "an absolute path"),
};
const struct record office_place_record = RECORD("place", struct office_place, place_fields);

static const struct field retry_fields[] = {
    PROJECT(struct office_retry),
    THING(struct office_retry, .doc = "T-3, F-1; empty: the project itself"),
    FIELD(struct office_retry, hint, FIELD_TEXT, .max = MAX_TEXT, .doc = "for the role that tries again"),
};
const struct record office_retry_record = RECORD("retry", struct office_retry, retry_fields);

static const struct field models_fields[] = {
    PROJECT(struct office_models),
    MODELS(struct office_models),
};
const struct record office_models_record = RECORD("models", struct office_models, models_fields);

static const struct field handed_fields[] = {
    FIELD(struct handed, nothing, FIELD_BOOL, .doc = "nothing is finished yet"),
    FIELD(struct handed, released, FIELD_BOOL, .doc = "the default branch has all that DEV has"),
    FIELD(struct handed, waits, FIELD_BOOL, .doc = "DEV was left alone there"),
    FIELD(struct handed, note, FIELD_TEXT, .doc = "what was left alone or is new, in lines"),
};
const struct record office_handed_record = RECORD("handed", struct handed, handed_fields);

static const struct field clone_fields[] = {
    PROJECT(struct office_clone),
    THING(struct office_clone, .required = true, .doc = "T-3, F-1"),
    FIELD(struct office_clone, dir, FIELD_TEXT, .required = true, .max = MAX_PATH, .doc = "an absolute path, where nothing is yet"),
};
const struct record office_clone_record = RECORD("clone", struct office_clone, clone_fields);

static const struct field file_fields[] = {
    FIELD(struct office_file, path, FIELD_TEXT, .required = true, .max = MAX_PATH, .doc = "in the repository"),
    FIELD(struct office_file, text, FIELD_TEXT, .max = MAX_TEXT, .doc = "all of it"),
};
static const struct record file_record = RECORD("file", struct office_file, file_fields);
static const struct field merge_fields[] = {
    PROJECT(struct office_merge),
    THING(struct office_merge, .required = true, .doc = "T-3, F-1"),
    FIELD(struct office_merge, tree, FIELD_TEXT, .max = MAX_ID, .doc = "the merge as the person saw it, unless it comes from the clone"),
    FIELD(struct office_merge, from_clone, FIELD_BOOL, .doc = "the files are those of the clone, and not `files`"),
    FIELD(struct office_merge, changes_tests, FIELD_BOOL, .doc = "the person may change tests in it"),
    FIELD(struct office_merge, files, FIELD_RECORDS, .of = &file_record, .doc = "what the person made of it"),
};
const struct record office_merge_record = RECORD("merge", struct office_merge, merge_fields);

static const struct field merged_fields[] = {
    FIELD(struct office_merged, fault, FIELD_TEXT, .doc = "why it was not taken; empty: it was"),
    FIELD(struct office_merged, output, FIELD_TEXT, .max = MAX_TEXT, .doc = "of the tests that failed"),
    FIELD(struct office_merged, left_out, FIELD_TEXTS, .doc = "files of the clone that are no part of the merge"),
};
const struct record office_merged_record = RECORD("merged", struct office_merged, merged_fields);

static const struct field release_fields[] = {
    PROJECT(struct office_release),
    FIELD(struct office_release, partial, FIELD_BOOL, .doc = "also when not all is finished"),
    FIELD(struct office_release, from, FIELD_TEXT, .max = MAX_ID, .doc = "the commit of the default branch as the person saw it"),
    FIELD(struct office_release, dev, FIELD_TEXT, .max = MAX_ID, .doc = "the commit of DEV as the person saw it"),
};
const struct record office_release_record = RECORD("release", struct office_release, release_fields);

static const struct field note_fields[] = { FIELD(struct office_note, note, FIELD_TEXT, .doc = "for the person, in lines") };
const struct record office_note_record = RECORD("note", struct office_note, note_fields);

static const struct field nothing_fields[] = { FIELD(struct office_nothing, nothing, FIELD_BOOL, .doc = "there is nothing to say") };
const struct record office_nothing_record = RECORD("nothing", struct office_nothing, nothing_fields);

static const char *const drift_names[] = { "fail", "warn", NULL };
static const struct field sitting_fields[] = {
    PROJECT(struct office_sitting),
    FIELD(struct office_sitting, models, FIELD_TEXTS, .max = 100,
          .doc = "words as --model takes them; none: those of the project, or else the routes"),
    FIELD(struct office_sitting, drift, FIELD_ENUM, .choices = drift_names, .absent = DRIFT_WARN,
          .doc = "what to do when a prompt is not the recorded one"),
    FIELD(struct office_sitting, record, FIELD_TEXT, .max = MAX_PATH, .doc = "a directory for a recording, an absolute path"),
    FIELD(struct office_sitting, goes_on, FIELD_BOOL, .doc = "after a gate, in the same sitting of the person"),
};
const struct record office_sitting_record = RECORD("sitting", struct office_sitting, sitting_fields);

static const char *const end_names[] = { "done", "gate", "blocked", "stopped", NULL };
static const struct field ended_fields[] = {
    FIELD(struct office_ended, end, FIELD_ENUM, .choices = end_names, .required = true, .doc = "why nobody is at work any more"),
    FIELD(struct office_ended, notes, FIELD_TEXT, .max = MAX_TEXT, .doc = "warnings for the person, in lines"),
};
const struct record office_ended_record = RECORD("ended", struct office_ended, ended_fields);
