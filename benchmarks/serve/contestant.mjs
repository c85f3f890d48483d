// contestant.mjs NAME JSON: plays all loads against one contestant and prints a line of JSON. Runs in a process of its own.
import { makeLoad, play } from "./load.mjs";

const [name, json] = process.argv.slice(2);
const settings = JSON.parse(json);
const { open } = await import(`./contestants/${name}.mjs`);
const contestant = await open(settings);
try {
  // Nothing of what is timed is to be found in a cache of prompts: other clients, other prompts.
  const warm = makeLoad(Math.max(...settings.clients), { ...settings, perClient: 1 });
  await play(
    warm.map(([prompt]) => [prompt.map((id, i) => (i === 0 ? id : 99 + ((id * 7) % 100)))]),
    contestant.ask,
  );
  const results = {};
  for (const clients of settings.clients) {
    const perClient = Math.max(settings.perClient, Math.ceil(settings.leastRequests / clients));
    results[clients] = await play(makeLoad(clients, { ...settings, perClient }), contestant.ask);
  }
  const texts = [];
  for (const prompt of makeLoad(1, { ...settings, perClient: 4 })[0])
    texts.push(await contestant.ids?.(prompt));
  console.log(JSON.stringify({ results, texts }));
} finally {
  await contestant.close();
}
process.exit(0);
