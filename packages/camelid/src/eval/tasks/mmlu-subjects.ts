/** The 57 subjects of MMLU in their sub-categories and categories, as the benchmark's authors group them. */
const GROUPS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  STEM: {
    math: "abstract_algebra college_mathematics elementary_mathematics high_school_mathematics high_school_statistics",
    physics: "astronomy college_physics conceptual_physics high_school_physics",
    biology: "college_biology high_school_biology",
    chemistry: "college_chemistry high_school_chemistry",
    "computer science":
      "college_computer_science computer_security high_school_computer_science machine_learning",
    engineering: "electrical_engineering",
  },
  humanities: {
    philosophy: "formal_logic logical_fallacies moral_disputes moral_scenarios philosophy world_religions",
    history: "high_school_european_history high_school_us_history high_school_world_history prehistory",
    law: "international_law jurisprudence professional_law",
  },
  "social sciences": {
    economics: "econometrics high_school_macroeconomics high_school_microeconomics",
    geography: "high_school_geography",
    politics: "high_school_government_and_politics public_relations security_studies us_foreign_policy",
    psychology: "high_school_psychology professional_psychology",
    culture: "human_sexuality sociology",
  },
  other: {
    health:
      "anatomy clinical_knowledge college_medicine human_aging medical_genetics nutrition professional_medicine virology",
    business: "business_ethics management marketing",
    other: "global_facts miscellaneous professional_accounting",
  },
};

/** Subject -> category: `virology` -> `other`. */
export const CATEGORY: ReadonlyMap<string, string> = new Map(
  Object.entries(GROUPS).flatMap(([category, parts]) =>
    Object.values(parts).flatMap((subjects) =>
      subjects.split(" ").map((subject) => [subject, category] as const),
    ),
  ),
);

export const SUBJECTS: readonly string[] = [...CATEGORY.keys()].sort();
