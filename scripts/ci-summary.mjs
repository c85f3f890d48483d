/** One closing line over tests and static checks: ci-summary.mjs VITEST_JSON CHECKS_EXIT_CODE */
import { readFileSync } from "node:fs";

const [file, checks] = process.argv.slice(2);
let counts = { passed: 0, failed: 1, skipped: 0 };
try {
  const report = JSON.parse(readFileSync(file, "utf8"));
  const skipped = report.numPendingTests + (report.numTodoTests ?? 0);
  // A suite that could not even be collected has no failed test of its own.
  const brokenSuites = report.testResults.filter(
    (suite) => suite.status === "failed" && suite.assertionResults.length === 0,
  );
  counts = { passed: report.numPassedTests, failed: report.numFailedTests + brokenSuites.length, skipped };
} catch {
  console.log("the tests left no report");
}
const failed = counts.failed + (checks === "0" ? 0 : 1);
const passed = counts.passed + (checks === "0" ? 1 : 0);
console.log(`${passed} passed, ${failed} failed, ${counts.skipped} skipped`);
