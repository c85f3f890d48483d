/** A conversation with one or several models: the same questions, each model's own answers. */
import type { Message } from "../../data/conversation.js";
import { renderPrompt } from "../../data/render.js";
import type { Decoding, Engine } from "../../generate/requests.js";

export interface Speaker {
  name: string;
  engine: Engine;
}

export interface ChatSettings extends Decoding {
  maxNewTokens: number;
}

/** What became of one answer. */
export interface Answer {
  text: string;
  tokens: number;
  seconds: number;
  /** Until its first piece of text. */
  firstSeconds: number;
  /** The model's context or `maxNewTokens` ended it, or the user did. */
  isCut: boolean;
}

export class ChatSession {
  readonly speakers: readonly Speaker[];
  system: string | undefined;
  readonly #settings: ChatSettings;
  readonly #histories: Map<Speaker, Message[]>;
  #turns = 0;

  constructor(speakers: readonly Speaker[], settings: ChatSettings, system?: string) {
    this.speakers = speakers;
    this.system = system;
    this.#settings = settings;
    this.#histories = new Map(speakers.map((speaker) => [speaker, []]));
  }

  /** Questions asked and answered. */
  get turns(): number {
    return (this.#histories.values().next().value?.length ?? 0) / 2;
  }

  /**
   * Asks all models at once. Every answer that came to an end, cut or not, becomes part of its model's history; a question that some
   * model cannot take (too long) is nobody's.
   * @param onText called with each model's whole text so far
   * @throws {DataError} what rendering and the engine say of the prompt
   */
  async ask(
    question: string,
    onText: (speaker: number, text: string) => void,
    signal: AbortSignal,
  ): Promise<Answer[]> {
    const user: Message = { role: "user", content: question };
    const prompts = await Promise.all(
      this.speakers.map((speaker) =>
        renderPrompt([...this.#messages(speaker), user], speaker.engine.tokenizer),
      ),
    );
    const seed = (this.#settings.seed ?? 0) + this.#turns++;
    // All are asked before any begins: what one of them cannot take, none works on.
    const streams = this.speakers.map(({ engine }, place) =>
      engine.stream({ ...this.#settings, seed, promptIds: prompts[place]! }, { signal }),
    );
    const answers = await Promise.all(
      streams.map(async (stream, place): Promise<Answer> => {
        const started = performance.now();
        const seconds = (): number => (performance.now() - started) / 1000;
        const answer: Answer = { text: "", tokens: 0, seconds: 0, firstSeconds: 0, isCut: false };
        for await (const { text, outputIds, finishReason } of stream) {
          if (answer.text === "" && text !== "") answer.firstSeconds = seconds();
          answer.text += text;
          answer.tokens += outputIds.length;
          if (finishReason !== undefined) answer.isCut = finishReason !== "stop";
          onText(place, answer.text);
        }
        return { ...answer, seconds: seconds() };
      }),
    );
    this.speakers.forEach((speaker, place) => {
      this.#histories.get(speaker)!.push(user, { role: "assistant", content: answers[place]!.text });
    });
    return answers;
  }

  /** Forgets the last question and its answers. @returns the question, if there was one */
  undo(): string | undefined {
    let question: string | undefined;
    for (const history of this.#histories.values()) question = history.splice(-2)[0]?.content;
    return question;
  }

  clear(): void {
    for (const history of this.#histories.values()) history.length = 0;
  }

  /** One record for each model, in the form that training reads. */
  records(): { dataset: string; id: string; messages: Message[] }[] {
    return this.speakers.map((speaker, i) => ({
      dataset: "chat",
      id: `chat_${i}_${speaker.name}`,
      messages: this.#messages(speaker),
    }));
  }

  #messages(speaker: Speaker): Message[] {
    const system: Message[] = this.system === undefined ? [] : [{ role: "system", content: this.system }];
    return [...system, ...this.#histories.get(speaker)!];
  }
}
