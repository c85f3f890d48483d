/** Counters in the text format of Prometheus. */
import type { EngineStats } from "../generate/requests.js";

/** Upper borders of the histograms, seconds. */
const BORDERS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

class Histogram {
  readonly #counts = BORDERS.map(() => 0);
  #sum = 0;
  #count = 0;

  add(seconds: number): void {
    this.#sum += seconds;
    this.#count++;
    BORDERS.forEach((border, i) => {
      if (seconds <= border) this.#counts[i]!++;
    });
  }

  lines(name: string): string[] {
    return [
      ...BORDERS.map((border, i) => `${name}_bucket{le="${border}"} ${this.#counts[i]}`),
      `${name}_bucket{le="+Inf"} ${this.#count}`,
      `${name}_sum ${this.#sum}`,
      `${name}_count ${this.#count}`,
    ];
  }
}

export class Metrics {
  readonly #started = Date.now();
  readonly #requests = new Map<string, number>();
  readonly #firstToken = new Histogram();
  readonly #whole = new Histogram();
  #promptTokens = 0;
  #outputTokens = 0;

  request(route: string, status: number): void {
    const labels = `route="${route}",status="${status}"`;
    this.#requests.set(labels, (this.#requests.get(labels) ?? 0) + 1);
  }

  answered(answer: {
    promptTokens: number;
    outputTokens: number;
    /** undefined: there was none. */
    firstTokenSeconds: number | undefined;
    seconds: number;
  }): void {
    this.#promptTokens += answer.promptTokens;
    this.#outputTokens += answer.outputTokens;
    if (answer.firstTokenSeconds !== undefined) this.#firstToken.add(answer.firstTokenSeconds);
    this.#whole.add(answer.seconds);
  }

  text(engines: Iterable<readonly [string, EngineStats]>, inside: number): string {
    const counted = (name: string, help: string, type: string, lines: readonly string[]): string[] => [
      `# HELP ${name} ${help}`,
      `# TYPE ${name} ${type}`,
      ...lines,
    ];
    const stats = [...engines];
    const gauge = (name: string, help: string, value: (one: EngineStats) => number): string[] =>
      counted(
        name,
        help,
        "gauge",
        stats.map(([model, one]) => `${name}{model="${label(model)}"} ${value(one)}`),
      );
    return `${[
      ...counted(
        "camelid_requests_total",
        "Requests by route and status.",
        "counter",
        [...this.#requests].map(([labels, count]) => `camelid_requests_total{${labels}} ${count}`),
      ),
      ...counted("camelid_requests_inside", "Requests being answered or waiting.", "gauge", [
        `camelid_requests_inside ${inside}`,
      ]),
      ...counted("camelid_prompt_tokens_total", "Tokens of all prompts.", "counter", [
        `camelid_prompt_tokens_total ${this.#promptTokens}`,
      ]),
      ...counted("camelid_output_tokens_total", "Tokens generated.", "counter", [
        `camelid_output_tokens_total ${this.#outputTokens}`,
      ]),
      ...counted(
        "camelid_time_to_first_token_seconds",
        "From request to first token.",
        "histogram",
        this.#firstToken.lines("camelid_time_to_first_token_seconds"),
      ),
      ...counted(
        "camelid_request_seconds",
        "From request to last token.",
        "histogram",
        this.#whole.lines("camelid_request_seconds"),
      ),
      ...gauge("camelid_sequences_running", "Sequences in the batch.", (one) => one.running),
      ...gauge("camelid_sequences_waiting", "Sequences that wait for room.", (one) => one.waiting),
      ...gauge("camelid_kv_cache_bytes", "Budget for keys and values.", (one) => one.kvCacheBytes),
      ...gauge("camelid_kv_used_bytes", "Bytes of keys and values in use.", (one) => one.kvUsedBytes),
      ...gauge("camelid_kv_reserved_bytes", "Bytes set aside of it.", (one) => one.kvReservedBytes),
      ...gauge("camelid_reused_tokens", "Prompt tokens that were there already.", (one) => one.reusedTokens),
      ...counted("camelid_uptime_seconds", "Since the server started.", "gauge", [
        `camelid_uptime_seconds ${(Date.now() - this.#started) / 1000}`,
      ]),
    ].join("\n")}\n`;
  }
}

const label = (value: string): string =>
  value.replace(/[\\"\n]/g, (char) => (char === "\n" ? "\\n" : `\\${char}`));
