/* Runs one test file in this process and tells run_node.mjs what happens: the program and, as
 * Node.js asks for it by the same name, the reporter of node:test.
 *
 * What is told at once (by a hook before and after each test) survives a test that loops or
 * ends the process; results come from the reporter, which Node.js lets speak when it is idle.
 *
 * Code that replaces what tests are made of (an assert that never fails) is noticed by the
 * identity of functions.  Code that means to deceive can get around this, for it runs in the
 * same process.
 */
import assert from 'node:assert';
import fs from 'node:fs';
import path from 'node:path';
import * as testing from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { inspect } from 'node:util';

const TOLD = 3; // the descriptor of run_node.mjs
const ROOT = process.cwd();
const MAX_MESSAGE = 2000, MAX_FRAMES = 12, MAX_SAID = 1000, MAX_SAID_LINES = 10;
const write = fs.writeSync.bind(fs), exit = process.exit.bind(process), reallyExit = process.reallyExit.bind(process);

function tell(what) {
  write(TOLD, JSON.stringify(what) + '\n');
}

/* ---- what a failure says ---- */

let said = ''; // the end of what the current test has printed

function listenTo(stream) {
  const print = stream.write;
  stream.write = function (chunk, ...more) {
    said = (said + (typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString())).slice(-MAX_SAID);
    return print.call(this, chunk, ...more);
  };
}

/* The path in the project; '' for all others. */
function inProject(place) {
  const file = place.startsWith('file://') ? fileURLToPath(place) : place;
  const name = path.relative(ROOT, file);
  return !path.isAbsolute(file) || name.startsWith('..') || name.startsWith('node_modules/') ? '' : name;
}

/* Of V8's stack the frames in the project, the innermost first. */
function framesOf(error) {
  const frames = [];
  for (const line of String(error.stack ?? '').split('\n')) {
    const match = /^\s+at (?:(?:async )?(.*?) \()?(?:async )?((?:file:\/\/)?\/[^()]*?):(\d+):\d+\)?$/.exec(line);
    const file = match ? inProject(match[2]) : '';
    if (!file) continue;
    const name = !match[1] || /<anonymous>/.test(match[1]) ? '' : match[1].replace(/^(?:Module|Object)\./, '');
    const text = `    at ${name ? `${name} (${file}:${match[3]})` : `${file}:${match[3]}`}`;
    if (text !== frames.at(-1)?.text) frames.push({ file, text });
  }
  return frames.slice(0, MAX_FRAMES);
}

function cut(text) {
  return text.length <= MAX_MESSAGE ? text : `${text.slice(0, MAX_MESSAGE / 3)}\n[...]\n${text.slice(-MAX_MESSAGE / 1.5)}`;
}

/* "units.js" as `from` imports it, from the root. */
function resolved(specifier, from) {
  return specifier.startsWith('.') && from ? path.relative(ROOT, path.resolve(ROOT, path.dirname(from), specifier)) : specifier;
}

/* Of errors of linking, which name modules in the words of the importing file: by their paths. */
function plainMessage(error, message) {
  const stack = String(error.stack ?? ''), head = /^(file:\/\/\S+?|\/\S+?):\d+\n/.exec(stack);
  const from = head ? inProject(head[1]) : '';
  if (error.code === 'MODULE_NOT_FOUND' && error.requireStack?.length) {
    const by = inProject(error.requireStack[0]), name = /'(.*?)'/.exec(message)?.[1] ?? '';
    return name.startsWith('.') ? `Cannot find module '${resolved(name, by)}' imported from ${by}` : `Cannot find package '${name}' imported from ${by}`;
  }
  if (error.name === 'SyntaxError' && from)
    message = message.replace(/^Named export '(.+?)' not found\. The requested module '(.+?)' is[^]*/, "The requested module '$2' does not provide an export named '$1'")
      .replace(/^The requested module '(.+?)'/, (_, name) => `The requested module '${resolved(name, from)}'`);
  return message.replaceAll(`file://${ROOT}/`, '').replaceAll(`${ROOT}/`, '');
}

/* What a name in a file of the project stands for: " (units is src/units.js)". */
function meaningOf(name, file) {
  let text;
  try {
    text = fs.readFileSync(path.join(ROOT, file), 'utf8');
  } catch {
    return '';
  }
  const quoted = '[\'"](\\.[^\'"\\n]+)[\'"]', set = `(?:const|let|var)\\s+${name.replaceAll('$', '\\$')}\\s*=\\s*`;
  const module = new RegExp(`\\bimport\\s+(?:[\\w$]+\\s*,\\s*)?(?:\\*\\s+as\\s+)?${name.replaceAll('$', '\\$')}\\s+from\\s+${quoted}`).exec(text)
    ?? new RegExp(`${set}(?:await\\s+import|require)\\(\\s*${quoted}`).exec(text);
  if (module) return ` (${name} is ${resolved(module[1], file)})`;
  const made = new RegExp(`\\b${name.replaceAll('$', '\\$')}\\s*=\\s*new\\s+(?:[\\w$]+\\.)*([\\w$]+)\\s*[(;]`).exec(text);
  return made ? ` (${name} is a ${made[1]})` : '';
}

/* The first line says what was thrown; then the rest of the message, where, what led to it, and
 * what was printed, each marked, so that none is taken for another. */
function describe(error) {
  const thrown = error instanceof Error || typeof error?.stack === 'string';
  if (!thrown) return `Thrown: ${cut(typeof error === 'string' ? error : inspect(error))}`;
  const name = error.name && error.name !== 'Error' ? error.name : error.constructor?.name ?? 'Error';
  const frames = framesOf(error);
  let message = plainMessage(error, cut(String(error.message)));
  const reached = /^([\w$]+)\.[\w$]+ is not a (?:function|constructor)$/.exec(message);
  if (reached && frames.length) message += meaningOf(reached[1], frames[0].file);
  const lines = `${name}: ${message}`.trimEnd().split('\n');
  const told = [lines[0], ...lines.slice(1).map((line) => `  ${line}`.trimEnd()), ...frames.map((frame) => frame.text)];
  for (let cause = error.cause, n = 0; cause && n < 3; cause = cause.cause, n++)
    told.push(`  (because of ${cause.name ?? 'Thrown'}: ${plainMessage(cause, String(cause.message ?? cause)).split('\n')[0]})`);
  for (const inner of (error.errors ?? []).slice(0, 3)) told.push(`  (${inner?.name}: ${String(inner?.message).split('\n')[0]})`);
  return told.join('\n');
}

function withSaid(text) {
  const lines = said.split('\n').filter((line) => line.trim()).slice(-MAX_SAID_LINES).map((line) => `\n| ${line}`);
  return text + lines.join('');
}

/* Node.js wraps what a test throws. */
function describeFailure(error, inner) {
  if (error?.code !== 'ERR_TEST_FAILURE') return describe(error);
  if (error.failureType === 'subtestsFailed') return inner || `Error: ${error.message}`;
  if (error.failureType === 'testTimeoutFailure') return `TimeUp: ${error.message}`;
  return error.cause instanceof Error || error.failureType === 'testCodeFailure' ? describe(error.cause) : `Error: ${error.message}`;
}

/* ---- what tests are made of ---- */

/* Not watched: what tests replace for good reasons. */
const REPLACED = /^(?:console|fetch|performance|crypto|navigator|process|Date|queueMicrotask|structuredClone|set\w+|clear\w+|WebSocket|localStorage|sessionStorage)$/;

/* {label, holder, names}: functions by their identity. */
function holders() {
  const list = [{ label: 'assert', holder: assert }, { label: 'assert.strict', holder: assert.strict }, { label: 'test', holder: testing.default },
    { label: 'globalThis', holder: globalThis }, { label: 'process', holder: process, only: ['reallyExit'] }, { label: 'fs', holder: fs, only: ['writeSync'] }];
  for (const name of ['Object', 'Array', 'String', 'Number', 'Map', 'Set', 'Promise', 'Error', 'Function', 'RegExp']) {
    list.push({ label: name, holder: globalThis[name] }, { label: `${name}.prototype`, holder: globalThis[name].prototype });
  }
  return [...list, { label: 'JSON', holder: JSON }, { label: 'Reflect', holder: Reflect }];
}

function marksOf({ holder, only }) {
  const marks = new Map();
  for (const name of only ?? Object.getOwnPropertyNames(holder)) {
    const value = Object.getOwnPropertyDescriptor(holder, name)?.value;
    if (typeof value === 'function' && !(holder === globalThis && REPLACED.test(name))) marks.set(name, value);
  }
  return marks;
}

class Watch {
  constructor() {
    this.watched = holders().map((row) => ({ ...row, marks: marksOf(row) }));
  }

  /* The first name that means something else now; undefined. */
  changed() {
    for (const { label, holder, marks } of this.watched)
      for (const [name, value] of marks)
        if (Object.getOwnPropertyDescriptor(holder, name)?.value !== value) return `${label}.${name}`;
    return undefined;
  }
}

/* ---- the reporter ---- */

let loaded = false, began = 0, ended = 0; // tests and suites at the left margin
let finish = () => {};

/* What is inside a test belongs to it; what is inside a suite counts itself. */
class Collector {
  names = []; // of what is open, by nesting
  inside = []; // results, by nesting of what they are in

  start({ nesting, name }) {
    this.names.length = nesting;
    this.names[nesting] = name;
  }

  end(passed, { nesting, details, skip, todo }) {
    const inner = this.inside[nesting + 1] ?? [];
    this.inside[nesting + 1] = [];
    const own = this.inside[nesting] ??= [];
    const names = this.names.slice(0, nesting + 1), error = details.error;
    if (details.type === 'suite') {
      own.push(...inner);
      if (!passed && error?.failureType !== 'subtestsFailed')
        own.push({ names, outcome: 'error', message: describeFailure(error, '') });
    } else {
      const failed = inner.find((result) => result.outcome === 'failed' || result.outcome === 'error');
      const skipped = skip !== undefined && skip !== false || todo !== undefined && todo !== false && !passed;
      const why = [skip, todo].find((reason) => typeof reason === 'string') ?? '';
      own.push({ names, outcome: skipped ? 'skipped' : passed ? 'passed' : 'failed',
        message: skipped ? why : passed ? '' : (spoken.get(names.join(' > ')) ?? ((text) => text))(describeFailure(error, failed?.message)) });
    }
    if (nesting === 0) for (const result of own.splice(0)) tell({ result });
  }
}

const spoken = new Map(); // how to add what a test printed, by its name

export default async function* reporter(events) {
  const collector = new Collector();
  for await (const { type, data } of events) {
    if (type === 'test:enqueue' && data.nesting === 0) began++;
    if (type === 'test:start') collector.start(data);
    if (type === 'test:pass' || type === 'test:fail') {
      collector.end(type === 'test:pass', data);
      ended += data.nesting === 0;
      finish();
    }
  }
  yield '';
}

/* ---- the program ---- */

class ExitCalled extends Error {
  get name() {
    return 'ExitCalled';
  }
}

/* Ends the process although servers may still listen and timers run; a little later, for what
 * began meanwhile may not have been told yet. */
function finishWhenDone(watch) {
  const end = () => {
    if (began !== ended) return;
    const changed = watch.changed();
    tell(changed ? { finished: true, changed } : { finished: true });
    exit(0);
  };
  finish = () => loaded && began === ended && setImmediate(() => setImmediate(end));
  process.on('beforeExit', () => { // before node:test gives up all that has not run yet
    if (loaded) end();
    tell({ stuck: true });
    reallyExit(1);
  });
}

function isWanted(name, only, done) {
  const isIn = (list) => list.some((known) => name === known || name.startsWith(`${known} > `));
  return !isIn(done) && (!only || isIn(only));
}

/* A hook that throws keeps its test from running. */
function hook({ only, done }) {
  testing.beforeEach((context) => {
    if (!isWanted(context.fullName, only, done)) throw new Error('not wanted');
    tell({ begins: context.fullName });
    said = '';
  });
  testing.afterEach((context) => {
    const text = withSaid('');
    spoken.set(context.fullName, (message) => message + text);
    tell({ ends: context.fullName });
  });
}

async function main() {
  const job = JSON.parse(fs.readFileSync(process.argv[2], 'utf8'));
  const file = path.join(ROOT, job.file), watch = new Watch();
  Error.stackTraceLimit = 50;
  process.argv.splice(1, 2, file);
  process.exit = (code) => {
    throw new ExitCalled(`process.exit(${code ?? ''}) was called`);
  };
  finishWhenDone(watch);
  listenTo(process.stdout);
  listenTo(process.stderr);
  hook(job);
  const giveUp = (error) => {
    if (loaded) return;
    const isSyntax = error?.name === 'SyntaxError' && !/does not provide an export named|Named export/.test(error.message);
    tell({ broken: withSaid(describe(error)), syntax: isSyntax });
    exit(0);
  };
  process.on('uncaughtException', giveUp);
  process.on('unhandledRejection', giveUp);
  try {
    await import(pathToFileURL(file).href);
  } catch (error) {
    giveUp(error);
  }
  loaded = true;
  tell({ loaded });
  if (began) finish();
}

/* Not waited for: this file has to be there, as the reporter, before the first test is. */
if (fs.realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) main();
