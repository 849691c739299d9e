/* Runs a project's node:test tests and reports them as TAP, file by file.
 *
 *     run_node.mjs --out FILE --seconds N [--coverage FILE] [-- ID...]
 *
 * `node --test` is not used, because its reports name no suite or file in every version, a
 * test that loops without end takes its whole file with it, and an export that is missing is
 * told on standard error alone.  Here an id is PATH::SUITE::NAME, a file that cannot be loaded
 * is an error of that path, each test has a time limit, and the report goes to FILE alone.
 *
 * Each file runs in a process of its own (tandem_node.mjs), which tells by lines of JSON what
 * it begins and what came out.  Where it does not end, because a test loops or ends the
 * process, that test has failed and the rest of the file runs again without it.
 *
 * With --coverage V8 counts (also in programs that tests start); its ranges of characters
 * become lines here, and files that nothing loaded count as well, all lines missing.
 */
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const HERE = path.dirname(fileURLToPath(import.meta.url));
const ROOT = process.cwd();
const LEAST_VERSION = [20, 16]; // names of tests with those of their suites
const LOOK_MS = 50;
const LOADING = 3; // times what a test may take, for Node.js itself has to start
const MAX_RESTARTS = 20; // of one file
const SKIPPED_FOLDERS = new Set(['node_modules', 'build', 'dist', 'coverage', 'vendor']);
const IS_CODE = /\.[cm]?js$/;
const IS_TEST = /(?:^|\/)(?:[^/]*[.\-_]test|test(?:-[^/]*)?)\.[cm]?js$|(?:^|\/)(?:test|__tests__)\/.*\.[cm]?js$/;

/* ---- the report ---- */

/* Written line by line, so that what a crash leaves is readable. */
class Report {
  constructor(file) {
    this.fd = fs.openSync(file, 'w');
    this.count = 0;
    this.line('TAP version 14');
  }

  line(text) {
    fs.writeSync(this.fd, text.replace(/\r?\n|\r/g, ' ') + '\n');
  }

  point({ id, outcome, message = '' }) {
    this.count++;
    const verdict = outcome === 'failed' || outcome === 'error' ? 'not ok' : 'ok';
    const skip = outcome === 'skipped' ? ` # SKIP ${message.split('\n')[0]}` : '';
    this.line(`${verdict} ${this.count} - ${id.replace(/[\\#]/g, '\\$&')}${skip}`);
    if (outcome === 'error') ['  ---', '  severity: error', '  ...'].forEach((text) => this.line(text));
    if (verdict === 'not ok') message.split('\n').forEach((text) => this.line(`# ${text}`));
  }

  plan() {
    this.line(`1..${this.count}`);
  }
}

/* ---- files ---- */

/* Code of the project, in a fixed order. */
function findCode(folder = '') {
  const found = [];
  const entries = fs.readdirSync(path.join(ROOT, folder), { withFileTypes: true });
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const name = folder ? `${folder}/${entry.name}` : entry.name;
    if (entry.isDirectory() && !entry.name.startsWith('.') && !SKIPPED_FOLDERS.has(entry.name)) found.push(...findCode(name));
    else if (entry.isFile() && IS_CODE.test(name)) found.push(name);
  }
  return found;
}

/* What V8 does not say of an error of syntax: where it is. */
function placeOfSyntaxError(file) {
  const words = ['--experimental-vm-modules', '--no-warnings', path.join(HERE, 'check_node.mjs'), file];
  return spawnSync(process.execPath, words, { encoding: 'utf8' }).stdout.trim();
}

/* ---- one file ---- */

/* A process that runs a file, but the tests in `done` (and others than `only`, where given). */
class Running {
  constructor(file, only, done, limitMs, env) {
    this.limitMs = limitMs;
    this.results = [];  // {name, outcome, message} as they come
    this.open = [];     // {name, since} of tests that have begun
    this.since = Date.now(); // of the last sign of life
    this.killed = false;
    const place = fs.mkdtempSync(path.join(os.tmpdir(), 'tests-'));
    const job = path.join(place, 'job'), said = path.join(place, 'said');
    fs.writeFileSync(job, JSON.stringify({ file, only, done }));
    this.fd = fs.openSync(said, 'a+');
    const words = [`--test-reporter=${path.join(HERE, 'tandem_node.mjs')}`, '--test-reporter-destination=stdout',
      path.join(HERE, 'tandem_node.mjs'), job];
    this.child = spawn(process.execPath, words, { cwd: ROOT, env: { ...process.env, ...env }, stdio: ['ignore', 'inherit', 'inherit', this.fd] });
    this.place = place;
    this.position = 0;
    this.rest = '';
  }

  /* Resolves to how it ended. */
  async end() {
    const timer = setInterval(() => this.look(), LOOK_MS);
    const status = await new Promise((resolve) => {
      this.child.on('error', (error) => resolve(error.message));
      this.child.on('exit', (code, signal) => resolve(signal ? `signal ${signal}` : `status ${code}`));
    });
    clearInterval(timer);
    this.read();
    fs.closeSync(this.fd);
    fs.rmSync(this.place, { recursive: true, force: true });
    return status;
  }

  look() {
    this.read();
    const since = this.open.length ? this.open[0].since : this.since;
    if (this.killed || Date.now() - since < this.limit()) return;
    this.killed = true;
    this.child.kill('SIGKILL');
  }

  read() {
    const bytes = Buffer.alloc(1 << 16);
    for (let n; (n = fs.readSync(this.fd, bytes, 0, bytes.length, this.position)) > 0; this.position += n)
      this.rest += bytes.toString('latin1', 0, n);
    const lines = this.rest.split('\n');
    this.rest = lines.pop();
    for (const line of lines) this.hear(JSON.parse(Buffer.from(line, 'latin1').toString()));
  }

  hear(said) {
    this.since = Date.now();
    if (said.begins !== undefined && !this.open.some((test) => said.begins.startsWith(`${test.name} > `)))
      this.open.push({ name: said.begins, since: Date.now() });
    if (said.ends !== undefined) this.open = this.open.filter((test) => test.name !== said.ends);
    if (said.result) this.results.push(said.result);
    for (const key of ['loaded', 'broken', 'syntax', 'stuck', 'changed', 'finished']) if (said[key] !== undefined) this[key] = said[key];
  }

  limit() {
    return this.loaded || this.open.length ? this.limitMs : LOADING * this.limitMs;
  }

  /* Why the test that is open, or else the file, did not end. */
  reason(status) {
    const where = this.open.length ? '' : this.loaded ? ' between the tests' : ' while the file was loaded';
    if (this.killed) return `TimeUp: still running${where} after ${this.limit() / 1000} seconds; probably a loop that does not end`;
    if (this.stuck) return `TimeUp: waiting${where} for something that never comes; nothing is left that could bring it`;
    return `EndOfProcess: the process ended${where} with ${status}, before the tests did`;
  }
}

const nameOf = (names) => names.join(' > ');

/* Results of a file as {id, outcome, message}, of a repeated title each; adds to `changed` what
 * code did to the framework. */
async function runFile(file, only, options, changed) {
  const results = [], done = new Set();
  const put = (names, outcome, message) => {
    done.add(nameOf(names));
    results.push({ id: [file, ...names].join('::'), outcome, message });
  };
  const give = (message) => [...results, { id: file, outcome: 'error', message }];
  for (let n = 0; n < MAX_RESTARTS; n++) {
    const before = new Set(done), running = new Running(file, only, [...done], options.seconds * 1000, options.env);
    const status = await running.end();
    if (running.changed) changed.push(running.changed);
    if (running.broken !== undefined)
      return [{ id: file, outcome: 'error', message: (running.syntax && placeOfSyntaxError(file)) || running.broken }];
    for (const { names, outcome, message } of running.results) if (!before.has(nameOf(names))) put(names, outcome, message);
    if (running.finished) return results;
    const open = running.open[0];
    if (!open || done.has(open.name)) return give(running.reason(status));
    put(open.name.split(' > '), 'failed', running.reason(status));
  }
  return give('TimeUp: too many of its tests do not end');
}

/* ---- coverage ---- */

/* The text with comments blank. */
function withoutComments(text) {
  const parts = /\/\*[^]*?\*\/|\/\/.*|"(?:[^"\\\n]|\\[^])*"|'(?:[^'\\\n]|\\[^])*'|`(?:[^`\\]|\\[^])*`|^#!.*/g;
  return text.replace(parts, (part) => (/^[/#]/.test(part) ? part.replace(/[^\n]/g, ' ') : part));
}

/* Counts for each character: of functions the inner ones last, of a function its blocks. */
function countCharacters(functions, length) {
  const counts = new Int8Array(length).fill(1);
  const first = (f) => f.ranges[0];
  const outerFirst = (f, g) => first(f).startOffset - first(g).startOffset || first(g).endOffset - first(f).endOffset;
  for (const f of [...functions].sort(outerFirst))
    for (const range of f.ranges) counts.fill(range.count ? 1 : 0, range.startOffset, range.endOffset);
  return counts;
}

/* A line that is nothing but brackets or "else" runs with its neighbours. */
function* linesOf(text) {
  let offset = 0, number = 0;
  for (const line of withoutComments(text).split('\n')) {
    number++;
    const told = line.replace(/[{}()[\];,\s]|\b(?:else|try|finally|do)\b/g, (part) => ' '.repeat(part.length));
    if (told.trim()) yield { number, at: offset + told.search(/\S/) };
    offset += line.length + 1;
  }
}

function lcovOf(file, functions) {
  const text = fs.readFileSync(path.join(ROOT, file), 'utf8');
  const counts = functions && countCharacters(functions, text.length);
  const lines = [...linesOf(text)].map(({ number, at }) => `DA:${number},${counts ? counts[at] : 0}`);
  return [`SF:${file}`, ...lines, 'end_of_record', ''].join('\n');
}

function writeCoverage(to, counted, code) {
  const loaded = new Set(), out = [];
  for (const name of fs.readdirSync(counted).sort()) {
    let scripts = [];
    try {
      scripts = JSON.parse(fs.readFileSync(path.join(counted, name), 'utf8')).result;
    } catch { /* of a process that was killed meanwhile */ }
    for (const { url, functions } of scripts) {
      const file = url.startsWith('file://') ? path.relative(ROOT, fileURLToPath(url)) : '..';
      if (!code.includes(file) || IS_TEST.test(file)) continue;
      loaded.add(file);
      out.push(lcovOf(file, functions));
    }
  }
  for (const file of code) if (!loaded.has(file) && !IS_TEST.test(file)) out.push(lcovOf(file));
  fs.writeFileSync(to, out.join(''));
}

/* ---- all ---- */

function readOptions(words) {
  const options = { seconds: 10, ids: [], env: {} };
  const stop = words.indexOf('--');
  if (stop >= 0) options.ids = words.splice(stop).slice(1);
  for (let i = 0; i + 1 < words.length; i += 2) options[words[i].slice(2)] = words[i + 1];
  return options;
}

/* The names in a file that are asked for, or undefined: all. */
function namesIn(file, ids) {
  if (!ids.length || ids.includes(file)) return undefined;
  return ids.filter((id) => id.startsWith(`${file}::`)).map((id) => nameOf(id.slice(file.length + 2).split('::')));
}

/* Modules look for packages in the folders above them. */
function linkPackages() {
  const packages = process.env.TANDEM_PACKAGES;
  if (packages && fs.existsSync(packages) && !fs.existsSync('node_modules')) fs.symlinkSync(packages, 'node_modules');
}

async function main() {
  const options = readOptions(process.argv.slice(2));
  const tell = (text) => fs.writeFileSync(path.join(path.dirname(options.out), 'trouble'), `${text}\n`);
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < LEAST_VERSION[0] || (major === LEAST_VERSION[0] && minor < LEAST_VERSION[1])) {
    tell(`Node.js ${process.versions.node} is too old; ${LEAST_VERSION.join('.')} is needed (tandem doctor says how to get it)`);
    return;
  }
  const report = new Report(options.out), code = findCode(), changed = [];
  const counted = options.coverage && fs.mkdtempSync(path.join(os.tmpdir(), 'coverage-'));
  if (counted) options.env.NODE_V8_COVERAGE = counted;
  linkPackages();
  for (const file of code.filter((name) => IS_TEST.test(name))) {
    const only = namesIn(file, options.ids);
    if (only && !only.length) continue;
    for (const result of await runFile(file, only, options, changed)) report.point(result);
  }
  report.plan();
  if (changed.length) tell(`the code changes the test framework: ${changed[0]}`);
  if (counted) writeCoverage(options.coverage, counted, code);
}

await main();
process.exit(0);
