/* Says whether modules could be loaded, without running a line of them.
 *
 *     node --experimental-vm-modules check_node.mjs PATH...
 *
 * Each module is parsed and linked to those it imports, so that a file or an export that is
 * missing is told of modules that no test imports, too.  What only running could tell (the
 * names that a CommonJS module or a package exports) is taken to be there.
 */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { isBuiltin } from 'node:module';
import path from 'node:path';
import vm from 'node:vm';

const ROOT = process.cwd();

/* What is thrown when there is no telling. */
class Unknown extends Error {}

/* The nearest package.json says what a .js file is. */
function isModule(file) {
  if (/\.[cm]js$/.test(file)) return file.endsWith('.mjs');
  for (let folder = path.dirname(file); ; folder = path.dirname(folder)) {
    try {
      return JSON.parse(fs.readFileSync(path.join(folder, 'package.json'), 'utf8')).type === 'module';
    } catch (error) {
      if (error.code !== 'ENOENT' || folder === path.dirname(folder)) return false;
    }
  }
}

/* Throws an error of syntax; undefined: CommonJS. */
function parseText(file, text, identifier) {
  if (isModule(file)) return new vm.SourceTextModule(text, { identifier });
  try {
    new vm.Script(`(function (exports, require, module, __filename, __dirname) {${text.replace(/^#!.*/, '')}\n})`);
    return undefined;
  } catch (error) {
    if (file.endsWith('.cjs') || !/^\s*(?:import|export)\b/m.test(text)) throw error;
    return new vm.SourceTextModule(text, { identifier });
  }
}

async function builtin(name) {
  const real = await import(name), names = Object.keys(real);
  return new vm.SyntheticModule(names, function () {
    names.forEach((key) => this.setExport(key, real[key]));
  });
}

/* A module and what it imports: each file once. */
class Graph {
  files = new Map(); // path from the root -> {text, module}

  /* An error of syntax has the file in which it is. */
  load(file) {
    const name = path.relative(ROOT, file);
    if (this.files.has(name)) return this.files.get(name).module;
    const text = fs.readFileSync(file, 'utf8');
    try {
      this.files.set(name, { text, module: parseText(file, text, name) });
    } catch (error) {
      throw Object.assign(error, { file: name });
    }
    return this.files.get(name).module;
  }

  async link(specifier, { identifier }) {
    if (isBuiltin(specifier)) return builtin(specifier);
    if (!/^\.{0,2}\//.test(specifier) || !/\.m?js$/.test(specifier)) throw new Unknown();
    const file = path.resolve(ROOT, path.dirname(identifier), specifier);
    if (!fs.existsSync(file))
      throw Object.assign(new Error(`Cannot find module '${path.relative(ROOT, file)}' imported from ${identifier}`), { importer: identifier });
    const module = this.load(file);
    if (!module) throw new Unknown();
    return module;
  }

  /* Who imports a name that is not there: V8 says only what the import says. */
  importerOf(message) {
    const [, specifier, name] = /module '(.+)' does not provide an export named '(.+)'/.exec(message) ?? [];
    for (const [file, { text }] of specifier ? this.files : [])
      if (text.includes(specifier) && (name === 'default' || text.includes(name))) return file;
    return undefined;
  }
}

/* "units.js:3: SyntaxError: Unexpected token" and the line, which V8 only prints. */
function placeOf(file, said) {
  const printed = spawnSync(process.execPath, ['--check', file], { encoding: 'utf8' }).stderr;
  const place = /^(?:file:\/\/)?\/.*:(\d+)\n(.*)\n/.exec(printed);
  return place ? `${file}:${place[1]}: ${said}\n    ${place[2].trim()}`.trimEnd() : `${file}: ${said}`;
}

const told = new Set();
for (const file of process.argv.slice(2)) {
  const graph = new Graph();
  try {
    await graph.load(path.resolve(file))?.link((specifier, from) => graph.link(specifier, from));
  } catch (error) {
    const said = `${error.name}: ${error.message}`;
    if (!(error instanceof Unknown)) told.add(error.file ? placeOf(error.file, said) : `${error.importer ?? graph.importerOf(said) ?? file}: ${said}`);
  }
}
if (told.size) console.log([...told].join('\n'));
process.exit(told.size ? 1 : 0);
