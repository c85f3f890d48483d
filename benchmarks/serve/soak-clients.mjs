// What the clients of a soak do: most of them well, some badly. Each says how its request ended.

const WORDS = "the camel alpaca llama walks over hill water drinks slow red blue why what where who".split(
  " ",
);

const behaviours = {
  stream: (ask) => ask.text({ stream: true }),
  whole: (ask) => ask.text({ stream: false }),
  stop: (ask) => ask.text({ stream: ask.coin(), stop: [" c", "a", "ll"] }),
  logprobs: (ask) => ask.text({ stream: ask.coin(), logprobs: true, top_logprobs: 3, n: 2 }),
  greedyTwice: (ask) => ask.twice({ temperature: 0 }),
  seedTwice: (ask) => ask.twice({ seed: ask.number(1e6), temperature: 1 }),
  vanishesWhileReading: (ask) => ask.vanish({ stream: true }, "reading"),
  vanishesWhileWaiting: (ask) => ask.vanish({ stream: ask.coin() }, "waiting"),
  readsSlowly: (ask) => ask.text({ stream: true }, 200),
  badJson: (ask) => ask.refused("{", 400),
  unknownModel: (ask) => ask.refused({ ...ask.body(), model: "huge" }, 404),
  tooLong: (ask) =>
    ask.refused(
      { ...ask.body({ stream: true }), messages: [{ role: "user", content: "camel ".repeat(2000) }] },
      400,
    ),
  penalty: (ask) => ask.refused({ ...ask.body(), frequency_penalty: 1 }, 400),
};

const SHARES = [
  ...Array(8).fill("stream"),
  ...Array(6).fill("whole"),
  ...["stop", "stop", "logprobs", "greedyTwice", "seedTwice", "readsSlowly"],
  ...["vanishesWhileReading", "vanishesWhileReading", "vanishesWhileWaiting"],
  ...["badJson", "unknownModel", "tooLong", "penalty"],
];

export const KINDS = Object.keys(behaviours);

/** One request, or two. `isLost`: it got neither an answer nor a status that it deserves. */
export async function behave(url, random) {
  const kind = SHARES[Math.floor(random() * SHARES.length)];
  try {
    const outcome = await behaviours[kind](asker(url, random));
    return { kind, outcome, isLost: outcome.startsWith("wrong") };
  } catch (error) {
    return { kind, outcome: `lost: ${error.cause?.code ?? error.message}`, isLost: true };
  }
}

function asker(url, random) {
  const number = (below) => Math.floor(random() * below);
  const words = (count) => Array.from({ length: count }, () => WORDS[number(WORDS.length)]).join(" ");
  const body = (more = {}) => ({
    model: "bench",
    messages: [{ role: "user", content: words(1 + number(30)) }],
    max_tokens: 1 + number(64),
    ...more,
  });
  const post = (content, signal = AbortSignal.timeout(120_000)) =>
    fetch(`${url}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: typeof content === "string" ? content : JSON.stringify(content),
      signal,
    });
  const answer = async (content, pauseMs) => {
    const response = await post(content);
    if (response.status === 429) {
      await response.json();
      return { outcome: "refused: 429" };
    }
    if (response.status !== 200)
      return { outcome: `wrong: ${response.status} ${(await response.text()).slice(0, 200)}` };
    return content.stream ? streamed(response, pauseMs) : wholly(response);
  };
  return {
    body,
    number,
    coin: () => random() < 0.5,
    text: async (more, pauseMs = 0) => (await answer(body(more), pauseMs)).outcome,
    /** The same request twice, once streamed, gives the same text. */
    async twice(more) {
      const asked = body(more);
      const [one, two] = [await answer({ ...asked, stream: true }, 0), await answer(asked, 0)];
      const refusal = [one, two].find(({ outcome }) => outcome !== "answered");
      if (refusal !== undefined) return refusal.outcome;
      return one.text === two.text ? "answered" : "wrong: two texts";
    },
    async vanish(more, when) {
      const gone = new AbortController();
      const coming = post(body({ ...more, max_tokens: 300 }), gone.signal);
      if (when === "waiting") setTimeout(() => gone.abort(), number(60));
      try {
        const response = await coming;
        if (response.status === 429) return "refused: 429";
        const reader = response.body.getReader();
        for (let left = number(5); left > 0; left--) await reader.read();
        gone.abort();
        return "vanished";
      } catch (error) {
        if (error.name === "AbortError") return "vanished";
        throw error;
      }
    },
    async refused(content, status) {
      const response = await post(content);
      const { error } = await response.json();
      const isProper = response.status === status && error.message && error.code;
      if (response.status === 429) return "refused: 429";
      return isProper ? `refused: ${status}` : `wrong: ${response.status} instead of ${status}`;
    },
  };
}

async function wholly(response) {
  const { choices, usage } = await response.json();
  const isWhole =
    choices.every(({ finish_reason }) => ["stop", "length"].includes(finish_reason)) &&
    usage.total_tokens > 0;
  return { outcome: isWhole ? "answered" : "wrong: incomplete", text: choices[0].message.content };
}

async function streamed(response, pauseMs) {
  let text = "";
  let all = "";
  const decoder = new TextDecoder();
  for await (const chunk of response.body) {
    all += decoder.decode(chunk, { stream: true });
    if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
  const events = all
    .trim()
    .split("\n\n")
    .map((event) => event.slice("data: ".length));
  if (events.at(-1) !== "[DONE]")
    return { outcome: `wrong: the stream ends in ${events.at(-1)?.slice(0, 200)}` };
  for (const event of events.slice(0, -1)) {
    const { choices } = JSON.parse(event);
    if (choices[0]?.index === 0) text += choices[0].delta.content ?? "";
  }
  return { outcome: "answered", text };
}
