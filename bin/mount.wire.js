#!/usr/bin/env node
import '../dist/bundle/mount-wire.js';
