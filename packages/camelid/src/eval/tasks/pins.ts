/** sha256 of official files, of the bytes behind the pinned addresses. */
export const SHA256: Readonly<Record<string, string>> = {
  "gsm8k/test.jsonl": "3730d312f6e3440559ace48831e51066acaca737f6eabec99bccb9e4b3c39d14",
  "gsm8k/train.jsonl": "17f347dc51477c50d4efb83959dbb7c56297aba886e5544ee2aaed3024813465",
  "bbh/bbh/boolean_expressions.json": "ea6c754ec005e2d3f2d085d349a740f593b5764f32ea4638ffed4cfc0061b12a",
  "bbh/bbh/causal_judgement.json": "6e8bca44dd402008ed41c07a3d0a1d5e7b03db7001a7e002fcdf4c60985ea081",
  "bbh/bbh/date_understanding.json": "0148d4ac5fca05b2f82373e5fef7208e15363b9c6079493034d77b3dab496bf5",
  "bbh/bbh/disambiguation_qa.json": "cf06df9ebf911b883671cb1b35d3fbd1a1c306b19b9e9a012407e596c85fe8c6",
  "bbh/bbh/dyck_languages.json": "3f9badedf15c2be1ce53d94fdf016299bb30ba231ef087ab9f51a7ed6d0bdc25",
  "bbh/bbh/formal_fallacies.json": "4c1adb664821157faade1d4153685403afcc02648f3c180a608a18f17f589629",
  "bbh/bbh/geometric_shapes.json": "07be68a124420caa2ebc0b2c858ad79fc55c5c8806170e496e1e17ebfb11f31c",
  "bbh/bbh/hyperbaton.json": "b6d7f55c75f5d02f2987a4f3123802dfa093872089a56a334144aae8a7264fdc",
  "bbh/bbh/logical_deduction_five_objects.json":
    "d2df31394b903b7f0e085d42a69572a092987856eac076799017d70ef266fa8f",
  "bbh/bbh/logical_deduction_seven_objects.json":
    "2896c7e3482eea318dd37bcc370d24ec3cc91e8374c1784287b5dbd38a529e33",
  "bbh/bbh/logical_deduction_three_objects.json":
    "e590fae72e3a6041fbd23bd8ff6b74baf44ca563f6ba40a041c55e7b867c1681",
  "bbh/bbh/movie_recommendation.json": "a8b53a87ee21a865b7248e694f388a9b8f7cf6b839b11d44796a2dd3fc088983",
  "bbh/bbh/multistep_arithmetic_two.json": "c9d5a6433c9b78256422a15c78463949c8bec8d85607aa28b52d7234ad4a8595",
  "bbh/bbh/navigate.json": "b7944dfd3c81da5c4815bd75b00d6fa3c64140823498e78ed496f4c3d36f7f0d",
  "bbh/bbh/object_counting.json": "8acef14dbbdd40d2326ef7755750b6b5fe919fef06276af1bab3f1c297f022ff",
  "bbh/bbh/penguins_in_a_table.json": "bb87ee449698eee51215e025a453b1bcb2f5e6589c2063b2c79e68b8f0655228",
  "bbh/bbh/reasoning_about_colored_objects.json":
    "0a8850cf95166020fce7a78244026ceedd7ea839302471512b4f8744e85a6a49",
  "bbh/bbh/ruin_names.json": "b6f723aef2bafdd4c7bfc3c7e0329c7e8a8279391a609969c8ed76c9319f5f7f",
  "bbh/bbh/salient_translation_error_detection.json":
    "becf3eb8dd53c821a555ecd5c1334ecd93eb25f980e63be963c518e7138de5da",
  "bbh/bbh/snarks.json": "54a0661fe2de06167645a4965e6bcf963c4ba307e76262a7c750998b0e3d0d0e",
  "bbh/bbh/sports_understanding.json": "63ca262858f6176864515cd8cf53cdaa40839ebecc155b726d77930855d167bf",
  "bbh/bbh/temporal_sequences.json": "92a1189faaa84aacc4c405aaa13f13f48c2992eb884772eedb622505252baef5",
  "bbh/bbh/tracking_shuffled_objects_five_objects.json":
    "2063a46a4fb484236ed4310523606543a3e1dd4a4dc34eda65d407910ece25a5",
  "bbh/bbh/tracking_shuffled_objects_seven_objects.json":
    "b59fd05b850c37cf57cb514ae1e6975c00b1638ade2291722056b2af3c54084d",
  "bbh/bbh/tracking_shuffled_objects_three_objects.json":
    "546cc7bf10c6a01a6a4c17ae28a4966485f21f29fd5d111f37858ec78e354f6b",
  "bbh/bbh/web_of_lies.json": "3e60323f8514a107fdb4edf35f8832a9171c5a09c0eaa47823559de905e8ab8b",
  "bbh/bbh/word_sorting.json": "2a6132d2c99f00d0d2eb1113ac6b4a918bd969d863c48749210d969713db8d43",
  "bbh/cot-prompts/boolean_expressions.txt":
    "685affba97425cdf3549d5d313ba876caed2fa7c8a4cf1ea7549faf22179609d",
  "bbh/cot-prompts/causal_judgement.txt": "14377e36cccb084b7d0fe73988d08696f7675d712b02d3ae1f5f7f12c77028ea",
  "bbh/cot-prompts/date_understanding.txt":
    "a0a13c392f689a1828f5f6ffb9dee3d44483794490da5d92f0e2a723787b1cfb",
  "bbh/cot-prompts/disambiguation_qa.txt": "794fd259297972a4c963a5d13a84dc221edde460de27fa5d8fd64299a2001597",
  "bbh/cot-prompts/dyck_languages.txt": "b0836603007ec659ed685458647fb6d7543543304e7aca909b995d0c3aff22b2",
  "bbh/cot-prompts/formal_fallacies.txt": "10c06cc362520e9b8dddfc4861e263ff668d228a52d958dcc69f09f1d224935a",
  "bbh/cot-prompts/geometric_shapes.txt": "f36d9893507eb518d84f388fb677dc0226c74a98873700de0b556548d65d3f76",
  "bbh/cot-prompts/hyperbaton.txt": "19898af91c35cb26bbdf5fdb6f6fb17e138677250332e2994005625ffb50b261",
  "bbh/cot-prompts/logical_deduction_five_objects.txt":
    "4ed65246c0c1c4b0b4053d784181892b842bce19cf4358c976f34b1a434ef034",
  "bbh/cot-prompts/logical_deduction_seven_objects.txt":
    "4ed65246c0c1c4b0b4053d784181892b842bce19cf4358c976f34b1a434ef034",
  "bbh/cot-prompts/logical_deduction_three_objects.txt":
    "4ed65246c0c1c4b0b4053d784181892b842bce19cf4358c976f34b1a434ef034",
  "bbh/cot-prompts/movie_recommendation.txt":
    "cdf765634713b057091d541b4773dd2c998f81447b0bd8564ae70be4cdf3f5d0",
  "bbh/cot-prompts/multistep_arithmetic_two.txt":
    "a546e0b7cde09037bc144ae5c32c9cf78dafdfac929ae76e2051b2dd8f3671ce",
  "bbh/cot-prompts/navigate.txt": "dc2fd733f1867b8c79685f15b83746064534a94bf73468341c2a9dd335be22fc",
  "bbh/cot-prompts/object_counting.txt": "e51ffc03fd713a13a379a6c938a523dfc1c2f384f2a8447bd7a12d4458f18833",
  "bbh/cot-prompts/penguins_in_a_table.txt":
    "33be137e76c2a6af0bbacd17a8e7a92801886c0202a45e35ea9c2a88c1f26d51",
  "bbh/cot-prompts/reasoning_about_colored_objects.txt":
    "e4ea02d05b13e8ed9ccc3b0d878bc4df4c5a6fb76c65d39d48d6244f7ff0b9d5",
  "bbh/cot-prompts/ruin_names.txt": "731446c6c66bb5258677af1417b599a6a5539be6d74a5afc02cf7a716444ea54",
  "bbh/cot-prompts/salient_translation_error_detection.txt":
    "2c8367f75092202cc507fdbfaaf037b1c1eed38e91289084439738367f0785f7",
  "bbh/cot-prompts/snarks.txt": "35084a2a0b86bc4008ab206b838c0b97dd425897dd72198137c3cefc499c0960",
  "bbh/cot-prompts/sports_understanding.txt":
    "2058a9bed717a6edb8ca2f815e88851436a4ee14c8b0d504ccf464865c6d0295",
  "bbh/cot-prompts/temporal_sequences.txt":
    "3e7ebf1e20abe3e219dc6514dcb7474d82db1b2c66acc733cd30af2e9e0b64b0",
  "bbh/cot-prompts/tracking_shuffled_objects_five_objects.txt":
    "2ef54cb2a72052adc3484a76209cb6a6535f194d677e79bcec2e2e71cf3768af",
  "bbh/cot-prompts/tracking_shuffled_objects_seven_objects.txt":
    "2ef54cb2a72052adc3484a76209cb6a6535f194d677e79bcec2e2e71cf3768af",
  "bbh/cot-prompts/tracking_shuffled_objects_three_objects.txt":
    "2ef54cb2a72052adc3484a76209cb6a6535f194d677e79bcec2e2e71cf3768af",
  "bbh/cot-prompts/web_of_lies.txt": "c8025ca65ab7f0897c243504c863bda043d04b6e873777536743e94023c929d0",
  "bbh/cot-prompts/word_sorting.txt": "a2cdbcfe23abaa97b9787f7c03dbf49b1cfd0ff9e63197b7884bb5cd5a096ca6",
  "mmlu/data/dev/abstract_algebra_dev.csv":
    "bd8c73f3c75bea9db82d281d9da6949cea687b987dba24a142c638e758046624",
  "mmlu/data/dev/anatomy_dev.csv": "0985685cf5ab13ccc1629f03a1308a9add8767582ffeb195b68b18c3415c9993",
  "mmlu/data/dev/astronomy_dev.csv": "bb03eca519a3fbc04017dc4783635763ac928f0811ce6243dbcbf0d526dbe1e3",
  "mmlu/data/dev/business_ethics_dev.csv": "7cd487e4ba7d9fe423bcc259ad852e963dc370629b8d61881b61ed0ae84c0b46",
  "mmlu/data/dev/clinical_knowledge_dev.csv":
    "13c88c266cf2a8aa20a062e9b901ee372431e75669fa3c80865613fa2b7f61af",
  "mmlu/data/dev/college_biology_dev.csv": "31f4ae0707ba3f742e0d5546ff970949be8a05e217921fe87b1814d6a0ab8184",
  "mmlu/data/dev/college_chemistry_dev.csv":
    "9ba27ba571b8ad40d35a2a88a60acf434ca5f37962c2eba8f9d0aa89edb4c1c7",
  "mmlu/data/dev/college_computer_science_dev.csv":
    "fc1a43187cd68390d663e0a1849688b13a4cd75ab17616558f4e584a4a8ae2bd",
  "mmlu/data/dev/college_mathematics_dev.csv":
    "27731ee1402e720ee01ad6fa6a969a0d0978a0e9b4c385d328a61869a43f321f",
  "mmlu/data/dev/college_medicine_dev.csv":
    "63928a944fda769d7e52a3a4549d4f37f094896e65e7db35029261e1ae79909b",
  "mmlu/data/dev/college_physics_dev.csv": "6e043d6c566091c5ad1d8bc1d002900e1aa0bff114f98d5e3f2e4f645efce100",
  "mmlu/data/dev/conceptual_physics_dev.csv":
    "5e65be1f6fdd82f4887e3747af790a747191b1b732dd2bea76306388d5ee3719",
  "mmlu/data/dev/econometrics_dev.csv": "7a01a925199c246decd0f1fc7a1b8dc28136b19d793e5b1e0d97142c118a2940",
  "mmlu/data/dev/electrical_engineering_dev.csv":
    "5aad11b1d1c8dc1a431c3e79a047cba56d691a60403ddffaf5fbd45e9c82bc0d",
  "mmlu/data/dev/elementary_mathematics_dev.csv":
    "9aca9cd215b7c170020fd5f7db1c9c3d5cbf6df9ee7b970a4810649a87245011",
  "mmlu/data/dev/high_school_biology_dev.csv":
    "6a200085c150794846d4bab43bb0e22ceec9f99576dfc25f5c5d8faa9595ae13",
  "mmlu/data/dev/high_school_chemistry_dev.csv":
    "1ba44aeea98ca22342b6525a3a9ebb62003b2a8289fa42d7c844e2139557ec5b",
  "mmlu/data/dev/high_school_computer_science_dev.csv":
    "5de3800dfbbfaa89050413a765deaf774fdb0611e370951383fb50fac774663e",
  "mmlu/data/dev/high_school_european_history_dev.csv":
    "a3677065cf51abc32901cdcf88ed64121f5595e3a5a67f86ae2570f866fe87c5",
  "mmlu/data/dev/high_school_geography_dev.csv":
    "e43fc27b9fa8b808773a2871007b39e012a1cc1ec902f85d85cc9c27cc12883d",
  "mmlu/data/dev/high_school_government_and_politics_dev.csv":
    "daf013a3eae04b5904e6a706cf0574df2c881e00d46a979cb34c6e2968ad1c90",
  "mmlu/data/dev/high_school_macroeconomics_dev.csv":
    "23ed995071c47e627c4e6adbce63a9144920441abb7e69f8b4dfac5fdc4e402d",
  "mmlu/data/dev/high_school_mathematics_dev.csv":
    "d7401d5cbad5ae697bfa480e35d85de8ebf1232589a3c59b010782ee49cbe18c",
  "mmlu/data/dev/high_school_microeconomics_dev.csv":
    "a409b422561f1fb02e6d1bc044657cfff7779b13146edfd937d2573423c2c49b",
  "mmlu/data/dev/high_school_physics_dev.csv":
    "5f008c3a44e7b14d86f6c1cbde28892fd0d97ae424e8af9901d75c4ee03972cc",
  "mmlu/data/dev/high_school_psychology_dev.csv":
    "b39b304a436fa6239a4bb8c1dc4ca3693edec2876926851f3d512d1da9e280ab",
  "mmlu/data/dev/high_school_statistics_dev.csv":
    "9441f8da50bfb93158d9b2645909cf1bc5837e8078c0eab923cf0fe761f7754e",
  "mmlu/data/dev/high_school_us_history_dev.csv":
    "028b3c81c7be1138ad50b4afa1835773788e4557426a40abfaf132b11edab541",
  "mmlu/data/dev/high_school_world_history_dev.csv":
    "b6e87a14718b0415241dfe10dd86605de5b6e5995fa57580e9e2d7c56fe147a1",
  "mmlu/data/dev/human_aging_dev.csv": "d2439fb3c2292e7dca8244cd98dd7ca746f8424347f171345f6b396f568b0870",
  "mmlu/data/dev/human_sexuality_dev.csv": "0da7f8f7aeb6d5a08f0413489aa5d5b84ff8ac971952ea66242762f779cb6794",
  "mmlu/data/dev/international_law_dev.csv":
    "6f7f1c0191c0bcfe195d0ed39942a605012967a04d855c6482dc7e7a9f95e4d8",
  "mmlu/data/dev/logical_fallacies_dev.csv":
    "4de026c2d116c381dcc1b65e91a28ba3d124398f920b0f3904ec5b641deb28f4",
  "mmlu/data/dev/machine_learning_dev.csv":
    "e4b1b09985dbdc499d51a2a2e83d93ae05bfe72ea7407c18e3aa3d2ab9ce7517",
  "mmlu/data/dev/management_dev.csv": "f75224958ab245d86c335d6886f8689247a9f83691ad63bb7ef3196641be9e52",
  "mmlu/data/dev/marketing_dev.csv": "15b3cf450ebc11e122886a5bad41e78260228259fa184eaa4ba566bdf37f0315",
  "mmlu/data/dev/medical_genetics_dev.csv":
    "70cd9ff940bef360693eeb4e05b5b8e53ad75a81d6b74a784222d4cae6dcb896",
  "mmlu/data/dev/miscellaneous_dev.csv": "72f74676c37fe477720d8b55e84517bd21daf1fe24f99dd33f1b0a636d31782e",
  "mmlu/data/dev/moral_disputes_dev.csv": "c80d35650189d23777fff1a4a53ff4387128c2536cbbd417d7e9103eeeb0d054",
  "mmlu/data/dev/moral_scenarios_dev.csv": "dbe2196287f89a6c4be4f31a1897bf0d0f8612a5ab22451a856496df2e0c5100",
  "mmlu/data/dev/nutrition_dev.csv": "84444f3a5c5bf3ccbe87f361b8dca56b9e0c5594fda2c4b558c66c37f47f5b24",
  "mmlu/data/dev/philosophy_dev.csv": "587be220837bbe089702aa27cda03fbf72a7b959a9a4425e70d598026614cf11",
  "mmlu/data/dev/prehistory_dev.csv": "f62e146bc64a3335bafde9af63b43e4a863246da743cd49f6daf5d5e9614ff81",
  "mmlu/data/dev/professional_accounting_dev.csv":
    "efc070ed71676829c67497542e3571f50a868036a17f93d00a56a4f85767ae0d",
  "mmlu/data/dev/professional_law_dev.csv":
    "15d8589900ccf4725e1bad17837d48cc18c8bf033cd9b5d6bacf28a2a8f1064f",
  "mmlu/data/dev/professional_medicine_dev.csv":
    "486456d578890d4700dd8044ac236c8ac2ee3389e35fc81ac37529f4f4487785",
  "mmlu/data/dev/professional_psychology_dev.csv":
    "222e690db42dfb217a7c56a6ac693b73cf0168e344d75f28618c62ad9d2c0261",
  "mmlu/data/dev/public_relations_dev.csv":
    "8895f665f4c696ae76d34210546d0ab4b21b79d2fd8534cd2e8002e8ed0969dc",
  "mmlu/data/dev/security_studies_dev.csv":
    "c726278f37ce15489b22190771041bd459065016e3891148ef147ae7cf1a0c35",
  "mmlu/data/dev/sociology_dev.csv": "2e2bb34b4cabdc50e2c43097d1cfe91560224f9e1224adc19a01e922d1c49414",
  "mmlu/data/dev/us_foreign_policy_dev.csv":
    "3a9677a89fd67c3a891671a2a6a14ff69ab37bdd54fb687c2f8334c8a3fa1543",
  "mmlu/data/dev/world_religions_dev.csv": "d4f7550bb8a32a599dc2ffa0a53e85e81096f441bcca1be3a412d690ade8eaa0",
  "mmlu/data/test/abstract_algebra_test.csv":
    "4be89c0fb1d2419722e88880f6da3da95750367185ecd36f6492a6f74785cf64",
  "mmlu/data/test/anatomy_test.csv": "966dfd5c4579885ebdb8c05d6754ae5834f672632586d8595be3c0f9360e6f4e",
  "mmlu/data/test/astronomy_test.csv": "87c9c3cb5a55395c70dd9ed521dd7d2629fd4ff236c5ab647102e007f52a9341",
  "mmlu/data/test/business_ethics_test.csv":
    "cd3fc3a85a34cb17e6c5b2fb68ea61e7800b31120d92934019f1e17f4832fbd4",
  "mmlu/data/test/clinical_knowledge_test.csv":
    "06a1ea973000d5ef5d2664c4ac1c68d0423f1cab6b3b682be7942633740811f1",
  "mmlu/data/test/college_biology_test.csv":
    "e1204cb9d19887ea266145f038b5d4cc1fbc33d7efce186259c4ecca1cbe3119",
  "mmlu/data/test/college_chemistry_test.csv":
    "4d61d7887f845b887c52ac928b6dffdcf2468d79f3d0fbb4d1731092a51d2552",
  "mmlu/data/test/college_computer_science_test.csv":
    "d53a1d0d1c4362dacf92a4ff1d6a755beb5a87f24a7301c3c4391fcacc6530b4",
  "mmlu/data/test/college_mathematics_test.csv":
    "8b5bef14d4209c7918eaf947e4f12a5ae9470567722d8ba9761302d733e8ac71",
  "mmlu/data/test/college_medicine_test.csv":
    "9c533cfff89edaa317b2e79bbabcdd5e2e522e019679cb4a6475e5f2a1861b1e",
  "mmlu/data/test/college_physics_test.csv":
    "079c3696eda22c13b0472de245c7bb4918315b59481964109a4f65d2a35b4243",
  "mmlu/data/test/conceptual_physics_test.csv":
    "7b39a241bb20424fd2a4e0e37ce05d94865ffc44191d8be4063be0e973312256",
  "mmlu/data/test/econometrics_test.csv": "10eb6b2d3a519a463872ef75902991b51ebf45865b29888e86d40228ace24029",
  "mmlu/data/test/electrical_engineering_test.csv":
    "8b0d747a97cb2cbbd8926c8deb2cda6073da6d5d3cc099693aa7761be938f5e4",
  "mmlu/data/test/elementary_mathematics_test.csv":
    "65a46a0e1927ea37aabd031ddcb6d81eef70a7eee1e9e0af94ec8e3fa21d728b",
  "mmlu/data/test/high_school_biology_test.csv":
    "cfaba2b58b9714d2a6983a90bce17f14cc44cfc8195b20f8f65fef70d21331b9",
  "mmlu/data/test/high_school_chemistry_test.csv":
    "0e3d94da331d1eb3cafecd64a6f0f64e6fd2410b0a76676b2c0728dc5c1374f5",
  "mmlu/data/test/high_school_computer_science_test.csv":
    "63806168fb0e5a72fe5bfb880f19816d8997e28d3f312c6b1831f4d40f432059",
  "mmlu/data/test/high_school_european_history_test.csv":
    "09983655452c3c40ba466050ec82252f02a235e5946734f4d73b73688fc9509b",
  "mmlu/data/test/high_school_geography_test.csv":
    "c6acdaa9d94c88cdefb9dd569e376733d9ba670c07db12cdff36ccdc18c2ab0c",
  "mmlu/data/test/high_school_government_and_politics_test.csv":
    "fbd7a89eb2c7806097e18b40950e44e0580e6f97cd151f01a216bb575c2d7903",
  "mmlu/data/test/high_school_macroeconomics_test.csv":
    "354b12cc74d2806c44d1fea42efba04ec12f10233e5169466080a1d1a6f8bba5",
  "mmlu/data/test/high_school_mathematics_test.csv":
    "fe8f7a154834bba30947401ba37ea6c7afdcfba82ddc341c79b5d3016991d290",
  "mmlu/data/test/high_school_microeconomics_test.csv":
    "a250cc4976654e479cecdb7b66046ce2412df3e5e1b9c3d145ed344eae9a2256",
  "mmlu/data/test/high_school_physics_test.csv":
    "573e0f8d8309e4669f53a4b13248a908507b6d5d4c97c977f7bb9814658fee54",
  "mmlu/data/test/high_school_psychology_test.csv":
    "88c33b6b0ade567d07b8b5b074effdb52f31d773541fd71e86cb0d85a8daf7bf",
  "mmlu/data/test/high_school_statistics_test.csv":
    "d62843d2fd084d6af1c8a0a6491d0aa642c34a7a68476605b9b3db5841e63d3f",
  "mmlu/data/test/high_school_us_history_test.csv":
    "0338dea3b11881be53c2208ae8dbb571c792c0dca6f0b36a352147c0be81625e",
  "mmlu/data/test/high_school_world_history_test.csv":
    "7787343ae18e4e1ef833c8630c0c914c62f42c2f35d8b90f4bec2eecccfc161e",
  "mmlu/data/test/human_aging_test.csv": "01299d7e0ae4a8d082daeecc140445ce7393b464040bd810b0a60a370ae5502e",
  "mmlu/data/test/human_sexuality_test.csv":
    "43ca779587725f126d07733b33ba339ce27cca6f85056872eccf4b0377e28a90",
  "mmlu/data/test/international_law_test.csv":
    "51b3a6d74cc84651b2355d2823c30d993015ddfe8ef39725da4e0442f29489fc",
  "mmlu/data/test/logical_fallacies_test.csv":
    "3fe8b48c74832525556455d49960cc0c3cff37496783348043ff69a1863c2244",
  "mmlu/data/test/machine_learning_test.csv":
    "05984b90f887a7da12b3dd8e41e6c34fa856b2c939ea3124975d90910ceb2af0",
  "mmlu/data/test/management_test.csv": "4a535a11bb480a09a302e86d157ae2d33e054cfa00e4265fe300a9408b87ec6b",
  "mmlu/data/test/marketing_test.csv": "ecf0ae0ae906194d033ca7d7746eaf201232eccb78ee24147e737473f751233d",
  "mmlu/data/test/medical_genetics_test.csv":
    "cc30c698e94f12c00e610a39c62d1a1d9587fa53c005359317346081f722c5e6",
  "mmlu/data/test/miscellaneous_test.csv": "061b283bb264072321d848b3b7f409a932a11ffa023fc94898dd31d2a4c80c7e",
  "mmlu/data/test/moral_disputes_test.csv":
    "673f5e9054f55fc5e165a3ed01e1b13eb1ee5a3405055818b50532e05de9bfdd",
  "mmlu/data/test/moral_scenarios_test.csv":
    "128d7bd823d793f8b7faf28f98f4b3c737b3e84d4b42c06c13458d36075a423a",
  "mmlu/data/test/nutrition_test.csv": "309432be237ac2b659acd10fdd4347d32cdc60aa9daeafbac78486a8744fa0b6",
  "mmlu/data/test/philosophy_test.csv": "a0f0c6fc9e4f08c04ff3a339996c4ed688a9fbe75d205fff4b9d3549fb49fa1e",
  "mmlu/data/test/prehistory_test.csv": "8d44938332ea3d199cfa51a18ef69af972aa33ca4af7b5f5bc62e768a31f949a",
  "mmlu/data/test/professional_accounting_test.csv":
    "27071efa2f8fd8502d01e80b8d7c69439586019f59e416ce039968417ef41355",
  "mmlu/data/test/professional_law_test.csv":
    "eeb81cac576a5f537485b6befd25837b55f64b57e9b2a7e409210d7c8d608820",
  "mmlu/data/test/professional_medicine_test.csv":
    "a034bf0dda10cb0848bdd3097eb1547d61ca2dac9e9b871563691621c38d51e9",
  "mmlu/data/test/professional_psychology_test.csv":
    "99785591dfe18717736c0c296c9d9840c832f98749060975f7e2d976ad204bf7",
  "mmlu/data/test/public_relations_test.csv":
    "3712f955d0c38b073b188a175a8d9a6ce64601f0ae9c98d8cfc37461c4cb5933",
  "mmlu/data/test/security_studies_test.csv":
    "ab7634702670ee0d5e98b852f5bcfad2821ff9a2e909d223de05422c948f6638",
  "mmlu/data/test/sociology_test.csv": "f6c464600032aa2bb53294ad53217fbb650601eee206af947b3ce4c587ff5bed",
  "mmlu/data/test/us_foreign_policy_test.csv":
    "2821ee009a2b1b7d4adc5a212a0bad7fe05d377455de0fe0841beab8f00142e1",
  "mmlu/data/test/world_religions_test.csv":
    "3be96b2465419289c4fe0c8a0d003003facd243c8982c6daafc6ac90a40bd507",
};
