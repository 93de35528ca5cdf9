#!/usr/bin/env node
require('../dist/bundle/wire.cjs');
