#!/usr/bin/env node
import '../dist/bundle/wire.js';
