#!/usr/bin/env node
require('../dist/bundle/mount-wire.cjs');
