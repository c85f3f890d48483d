/**
 * What tells languages of one script apart (ISO 639-1 codes):
 * - `words`: frequent function words, the short words of grammar and of questions that say nothing of a topic;
 * - `letters`: letters that the others do not use, or hardly.
 */
export interface LanguageTraits {
  readonly words: string;
  readonly letters?: string;
}

export const LATIN: Readonly<Record<string, LanguageTraits>> = {
  en: {
    words:
      "a the of and to in is that for it with as was are this be from or have an not by you what which how your can they has were will would there their who when where why did does do about over all any more most many first i we he she his her my me if so then on at into",
  },
  de: {
    words:
      "der die und das ist nicht ein eine zu den mit von sich auf für dem im des es auch als wie oder wir werden sind wird einen einer bei nach aber wer wo wann warum welche welcher hat wurde ich kann in",
    letters: "ßüöä",
  },
  fr: {
    words:
      "le la les et des est une dans que pour qui sur pas plus avec ce par au il sont vous être cette ne du nous ou mais comme aux ses quand où pourquoi combien quel quelle un en de je",
    letters: "çèêœ",
  },
  es: {
    words:
      "el la los de que y en un una es por con para las del se lo como más pero sus le ya este son también fue muy qué cómo cuándo dónde quién cuál cuánto no me mi te tu si hay al puedes puede desde cuando",
    letters: "ñ",
  },
  pt: {
    words:
      "o a os as de que e em um uma é por com para do da se não mais como dos das ao são você também foi muito seu sua pelo na no quando onde quem qual quanto me eu você pode",
    letters: "ãõç",
  },
  it: {
    words:
      "il di che e la per un una è con non del della sono si le dei come più anche nel alla gli questo ma da lo degli delle essere quando dove chi quale quanto perché mi puoi ho",
    letters: "ìò",
  },
  nl: {
    words:
      "de het een van en in is dat op te voor met zijn niet aan er om ook als maar bij naar wordt dit deze hebben worden je wanneer waar wie welke waarom hoe hoeveel wat heeft",
  },
  sv: {
    words:
      "och att det som är för på av med den till inte har om ett jag kan från var men vi eller när han denna också hur vad vem vilken varför en i",
    letters: "åäö",
  },
  da: {
    words:
      "og at det er en til af på som for med den de ikke har et jeg kan fra var men vi eller når han blev hvad hvem hvor hvornår meget efter også i",
    letters: "æøå",
  },
  no: {
    words:
      "og å det er en til av på som for med den de ikke har et jeg kan fra var men vi eller når han ble hva hvem hvor veldig etter også i",
    letters: "æøå",
  },
  fi: {
    words:
      "ja on ei että se oli hän joka mutta kun niin ovat myös kuin tai mikä hänen mitä voi ole sekä siitä vuonna milloin kuka missä kuinka mistä onko minkä mitkä monta",
    letters: "äö",
  },
  pl: {
    words:
      "i w na z do nie się jest że to jak o przez od za dla są ale czy co który która oraz jego był było może tym tego kto gdzie kiedy dlaczego ile jaki",
    letters: "łąęśżźćń",
  },
  cs: {
    words:
      "a je se v na to že i jako za ale pro by jsou podle který která také bylo není nebo jeho při jsem co když kdo kde kdy proč kolik jak",
    letters: "ěřůčšž",
  },
  hu: {
    words:
      "a az és hogy nem is egy van volt de meg ez csak mint vagy már azt ki mi én kell lehet még nagyon után ha aki amely hol mikor miért hány melyik",
    letters: "őű",
  },
  ro: {
    words:
      "și de la în a nu cu pe că este o un din mai care pentru să sunt se ce prin fi dar sau cum după această cine unde când",
    letters: "ășțâ",
  },
  tr: {
    words:
      "ve bir bu için ile da de ne çok daha olarak gibi olan var en kadar sonra değil ise ama mi nasıl hangi veya her ya ki kim nerede neden kaç",
    letters: "ğış",
  },
  id: {
    words:
      "yang dan di untuk dengan dari ini adalah pada itu tidak dalam akan juga ke atau oleh dapat sebagai apa apakah ada kapan kapankah siapa siapakah berapa berapakah dimana dimanakah bagaimana mengapa saya anda telah sebuah tersebut merupakan",
  },
  vi: {
    words:
      "và của là có không được cho một các trong với này những người đã để khi từ như ở cũng về bạn tôi nhiều gì ai đâu nào",
    letters: "ơưđạảấầậếềệốồộớờợ",
  },
  sw: {
    words:
      "ya na wa kwa ni katika la za cha kuwa hii huo yake nini wake lini ambayo hiyo pia kama ilikuwa nani gani wapi watu mwaka alikuwa je ngapi",
  },
};

export const CYRILLIC: Readonly<Record<string, LanguageTraits>> = {
  ru: {
    words:
      "и в не на что он с как это по но из у за от так же для был его к она все когда или чем кто где год какой сколько быть был",
    letters: "ыэё",
  },
  uk: {
    words:
      "і в не на що він з як це та до за від для у але його є був про й також або коли хто де який скільки була",
    letters: "іїєґ",
  },
  bg: {
    words: "и на да се не за от в с е са по като което този беше той до или но най през който как кога къде",
    letters: "ъ",
  },
  sr: {
    words: "и у је да се на су за од са као не о који али би по или што када где био није",
    letters: "ђјљњћџ",
  },
};

export const ARABIC: Readonly<Record<string, LanguageTraits>> = {
  ar: {
    words: "في من على إلى أن هذا التي الذي ما هو عن مع كان هي كم متى هل لا أو هذه بن أين ماذا لماذا كيف",
    letters: "ةىيكأإ",
  },
  fa: { words: "در از به که این را با است برای آن می یک شده بود تا های هم چه کرد شود", letters: "پچژگیک" },
  ur: { words: "کے میں کی ہے سے کا کو اور نے پر یہ ہیں ایک تھا اس کیا جو بھی", letters: "ٹڈڑےہںکیپچگ" },
};

export const DEVANAGARI: Readonly<Record<string, LanguageTraits>> = {
  hi: { words: "के में है की से का को और एक यह ने पर हैं कि था लिए भी इस क्या" },
  mr: { words: "आहे आणि या ते हे होते मध्ये एक की आहेत त्या असे व होता काय झाला", letters: "ळ" },
  ne: { words: "छ र को मा हो एक यो पनि भएको गर्न छन् थियो लागि के भने" },
};
