#!/usr/bin/env node
// In the repository, and not made by the build: npm links and marks commands when it installs, before anything is built.
import "../dist/cli/main.js";
