// What an unmodified OpenAI client library makes of the gateway: node openai_client.mjs MODULE URL KEY.
// Prints one line of JSON for each thing that was tried.
import { createRequire } from "node:module";

const [module, url, key] = process.argv.slice(2);
const library = createRequire(import.meta.url)(module);
const client = (more) => new library.OpenAI({ baseURL: url + "/v1", apiKey: key, maxRetries: 0, ...more });
const ask = { model: "developer", messages: [{ role: "user", content: "Say hello" }] };
const say = (what, value) => console.log(JSON.stringify({ what, ...value }));

async function fails(what, call) {
  try {
    await call();
    say(what, { error: null });
  } catch (error) {
    say(what, { error: error.constructor.name, status: error.status, code: error.code, type: error.type, message: error.message });
  }
}

const whole = await client().chat.completions.create(ask);
say("whole", { text: whole.choices[0].message.content, finish: whole.choices[0].finish_reason, object: whole.object, usage: whole.usage });

let text = "", last, usage;
for await (const chunk of await client().chat.completions.create({ ...ask, stream: true, stream_options: { include_usage: true } })) {
  text += chunk.choices[0]?.delta?.content ?? "";
  last = chunk.choices[0]?.finish_reason ?? last;
  usage = chunk.usage ?? usage;
}
say("stream", { text, finish: last, usage });

const helper = client().chat.completions.stream(ask);
say("helper", { text: await helper.finalContent() });

const models = [];
for await (const model of client().models.list()) models.push(model.id);
say("models", { models, one: (await client().models.retrieve("developer")).id });

const vectors = await client().embeddings.create({ model: "vectors", input: ["one", "two"], encoding_format: "float" });
say("embeddings", { count: vectors.data.length, index: vectors.data[1].index, dimensions: vectors.data[0].embedding.length });

const completion = await client().completions.create({ model: "developer", prompt: "Say hello" });
say("completion", { text: completion.choices[0].text });

const schema = { type: "object", properties: { name: { type: "string" } }, required: ["name"], additionalProperties: false };
const shaped = await client().chat.completions.create({
  ...ask, response_format: { type: "json_schema", json_schema: { name: "person", strict: true, schema } } });
say("schema", { value: JSON.parse(shaped.choices[0].message.content) });

const tools = [{ type: "function", function: { name: "weather", parameters: { type: "object", properties: { city: { type: "string" } } } } }];
const called = await client().chat.completions.create({ ...ask, messages: [{ role: "user", content: "Which weather?" }], tools });
say("tools", { call: called.choices[0].message.tool_calls?.[0], finish: called.choices[0].finish_reason });

await fails("no key", () => client({ apiKey: "none" }).chat.completions.create(ask));
await fails("not allowed", () => client().chat.completions.create({ ...ask, model: "small" }));
await fails("no such model", () => client({ apiKey: process.env.OTHER_KEY }).chat.completions.create({ ...ask, model: "huge" }));
await fails("bad request", () => client().chat.completions.create({ messages: [] }));
await fails("too many", async () => {
  for (let n = 0; n < 3; n++) await client({ apiKey: process.env.FEW_KEY }).models.list();
});

// It waits as long as it is told to, and asks again.
const begun = Date.now();
const retried = await client({ apiKey: process.env.RETRY_KEY, maxRetries: 2 }).models.list();
const again = await client({ apiKey: process.env.RETRY_KEY, maxRetries: 2 }).models.list();
say("retry", { count: retried.data.length + again.data.length, seconds: (Date.now() - begun) / 1000 });

// Leaving in the middle of a stream.
const controller = new AbortController();
const left = await client().chat.completions.create({ ...ask, messages: [{ role: "user", content: "slowly" }], stream: true },
                                                    { signal: controller.signal });
for await (const chunk of left) {
  if (chunk.choices[0]?.delta?.content) controller.abort();
}
say("left", { aborted: controller.signal.aborted });
