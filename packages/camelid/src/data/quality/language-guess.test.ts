import { describe, expect, it } from "vitest";
import { readShared, realInstructionRows } from "../../../../../tests/quality-rows.js";
import { sharedData } from "../../../../../tests/shared-data.js";
import { LanguageGuesser } from "./language-guess.js";

const guess = (text: string) => new LanguageGuesser().guess(text);

describe("the language guess", () => {
  it.each([
    ["en", "What is the capital of the country in which you were born?"],
    ["de", "Was ist der Unterschied zwischen einer Demokratie und einer Republik?"],
    ["fr", "Quelle est la différence entre une démocratie et une république ?"],
    ["es", "¿Cuál es la diferencia entre una democracia y una república?"],
    ["pt", "Qual é a diferença entre uma democracia e uma república, e o que você pensa?"],
    ["it", "Qual è la differenza tra una democrazia e una repubblica? Non lo so, ma mi piace."],
    ["nl", "Wat is het verschil tussen een democratie en een republiek, en hoe wordt dat gemeten?"],
    ["sv", "Vad är skillnaden mellan en demokrati och en republik, och varför är det viktigt?"],
    ["fi", "Mikä on ero demokratian ja tasavallan välillä, ja miksi se on tärkeä?"],
    ["pl", "Jaka jest różnica między demokracją a republiką i dlaczego to jest ważne?"],
    ["cs", "Jaký je rozdíl mezi demokracií a republikou a proč je to důležité?"],
    ["hu", "Mi a különbség a demokrácia és a köztársaság között, és miért fontos ez?"],
    ["ro", "Care este diferența dintre o democrație și o republică și de ce este importantă?"],
    ["tr", "Demokrasi ile cumhuriyet arasındaki fark nedir ve bu neden çok önemlidir?"],
    ["id", "Apa perbedaan antara demokrasi dan republik yang ada di dunia ini?"],
    ["vi", "Sự khác biệt giữa một nền dân chủ và một nước cộng hòa là gì?"],
    ["sw", "Tofauti kati ya demokrasia na jamhuri ni nini katika nchi hii?"],
    ["ru", "В чём разница между демократией и республикой?"],
    ["uk", "Яка різниця між демократією та республікою і чому це важливо?"],
    ["bg", "Каква е разликата между демокрация и република и защо е толкова важна според българите?"],
    ["ar", "ما هو الفرق بين الديمقراطية والجمهورية؟"],
    ["fa", "تفاوت بین دموکراسی و جمهوری چیست و چرا این موضوع مهم است؟"],
    ["ur", "جمہوریت اور جمہوریہ میں کیا فرق ہے؟"],
    ["hi", "लोकतंत्र और गणराज्य में क्या अंतर है?"],
    ["zh", "民主制和共和制有什么区别？"],
    ["ja", "民主主義と共和制の違いは何ですか。"],
    ["ko", "민주주의와 공화국의 차이점은 무엇입니까?"],
    ["th", "ประชาธิปไตยกับสาธารณรัฐต่างกันอย่างไร"],
    ["el", "Ποια είναι η διαφορά;"],
    ["he", "מה ההבדל?"],
  ])("knows %s", (language, text) => {
    expect(guess(text)).toBe(language);
  });

  it("does not guess from code, numbers, names, emoji or nothing", () => {
    for (const text of ["", "42 + 17 = 59", "🙂🙂", "x = foo(bar); baz();", "Schwarzenegger", "\ud83d"]) {
      expect(guess(text), text).toBe("und");
    }
  });

  it("does not choose between languages that fit equally well", () => {
    expect(guess("Og det er ikke som jeg kan")).toBe("und"); // Danish and Norwegian alike
  });

  it("goes by most of the text: a foreign name or quotation does not turn it", () => {
    expect(guess('The Greek word "δημοκρατία" is the origin of it, and 東京 is a city in Japan.')).toBe("en");
    expect(
      guess(
        "Kafka was born in Prague to a family from Osek, near Strakonice, and his name is written Kafka.",
      ),
    ).toBe("en");
  });

  it("reads no more than the beginning, so a huge text costs no more than a page", () => {
    const guesser = new LanguageGuesser();
    guesser.guess("warm up");
    const huge = "the quick brown fox is in the garden ".repeat(500_000);
    const start = performance.now();
    for (let i = 0; i < 100; i++) expect(guesser.guess(huge)).toBe("en");
    expect(performance.now() - start).toBeLessThan(1000);
  });

  it("is right for 9 in 10 of TyDiQA's questions and 19 in 20 of its passages, and seldom wrong", ({
    skip,
  }) => {
    if (sharedData() === undefined) return skip("shared data is not here");
    const codes: Record<string, string> = {
      ...{ arabic: "ar", bengali: "bn", english: "en", finnish: "fi", indonesian: "id" },
      ...{ korean: "ko", russian: "ru", swahili: "sw", telugu: "te" },
    };
    interface Paragraph {
      context: string;
      qas: { id: string; question: string }[];
    }
    const { data } = JSON.parse(readShared("tydiqa/tydiqa-goldp-v1.1-dev.json.gz")) as {
      data: { paragraphs: Paragraph[] }[];
    };
    const guesser = new LanguageGuesser();
    const tally = { questions: { right: 0, wrong: 0, all: 0 }, passages: { right: 0, wrong: 0, all: 0 } };
    const judge = (counts: { right: number; wrong: number; all: number }, text: string, language: string) => {
      const guessed = guesser.guess(text);
      counts.all++;
      if (guessed === language) counts.right++;
      else if (guessed !== "und") counts.wrong++;
    };
    for (const { context, qas } of data.flatMap((article) => article.paragraphs)) {
      for (const { id, question } of qas) {
        const language = codes[id.split("-")[0]!]!;
        judge(tally.questions, question, language);
        judge(tally.passages, context, language);
      }
    }
    expect(tally.questions.all).toBe(4570);
    expect(tally.questions.right / 4570).toBeGreaterThan(0.95);
    expect(tally.questions.wrong / 4570).toBeLessThan(0.01);
    expect(tally.passages.right / 4570).toBeGreaterThan(0.98);
    expect(tally.passages.wrong / 4570).toBeLessThan(0.005);
  });

  it("finds English instruction sets English", ({ skip }) => {
    const rows = realInstructionRows();
    if (rows === undefined) return skip("shared data is not here");
    const guesser = new LanguageGuesser();
    const english = rows.filter(
      (row) => guesser.guess(row.messages.map((m) => m.content).join("\n")) === "en",
    );
    expect(english.length / rows.length).toBeGreaterThan(0.97);
  });
});
