import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { deployedFlags } from './bench/play.js';

/** What a hospital installs: every package pinned by hash, under a licence that Apache-2.0 goes with, running nothing at its installation. */
interface LockEntry {
  readonly version?: string;
  readonly license?: string;
  readonly integrity?: string;
  readonly resolved?: string;
  readonly hasInstallScript?: boolean;
  readonly dev?: boolean;
}
const lock = JSON.parse(readFileSync('package-lock.json', 'utf8')) as { packages: Record<string, LockEntry> };
const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as { allowScripts: Record<string, boolean> };
const packages = Object.entries(lock.packages).filter(([name]) => name !== '');
const shipped = packages.filter(([, entry]) => entry.dev !== true);
const LICENCES = ['Apache-2.0', 'MIT', 'BSD-3-Clause', 'ISC', '0BSD', 'Unlicense', '(MIT OR CC0-1.0)'];

describe('the supply chain', () => {
  it('has a licence of the list for everything that is shipped', () => {
    expect(shipped.length).toBeGreaterThan(50);
    expect(shipped.filter(([, { license }]) => !LICENCES.includes(license ?? 'none')).map(([name]) => name)).toEqual(
      [],
    );
  });

  it('pins every package by hash and names no download address', () => {
    expect(packages.filter(([, { integrity }]) => !/^sha512-/.test(integrity ?? '')).map(([name]) => name)).toEqual([]);
    expect(packages.filter(([, { resolved }]) => resolved !== undefined).map(([name]) => name)).toEqual([]);
  });

  it('runs no script of a package at its installation', () => {
    const withScript = shipped.filter(([, entry]) => entry.hasInstallScript === true).map(([name]) => name);
    expect(
      withScript
        .map((name) => name.replace(/^.*node_modules\//, ''))
        .filter((name) => manifest.allowScripts[name] !== false),
    ).toEqual([]);
  });

  it('is run by units that hold no privilege', () => {
    for (const unit of readdirSync('deploy/systemd')) {
      const text = readFileSync(`deploy/systemd/${unit}`, 'utf8');
      for (const line of [
        'NoNewPrivileges=yes',
        'CapabilityBoundingSet=',
        'ProtectSystem=strict',
        'User=concordat',
        'UMask=0077',
      ])
        expect([unit, text.split('\n').includes(line)]).toEqual([unit, true]);
    }
    expect(readFileSync('deploy/Containerfile', 'utf8')).toMatch(/^USER \d+:\d+$/m);
  });

  it('starts the coordinator with the flags of Node that the benchmarks are run with', () => {
    const flags = deployedFlags();
    const entry = /^ENTRYPOINT (.+)$/m.exec(readFileSync('deploy/Containerfile', 'utf8'))![1]!;
    expect((JSON.parse(entry) as string[]).slice(1, -1)).toEqual(flags);
    const told = spawnSync(process.execPath, [...flags, '-e', '0'], { encoding: 'utf8' });
    expect([told.status, told.stderr]).toEqual([0, '']);
  });

  it('is built in its image from what the lock file pins, not from what lies in the folder', () => {
    const ignored = readFileSync('.dockerignore', 'utf8').split('\n');
    for (const made of ['node_modules/', 'dist/', '.git/']) expect(ignored).toContain(made);
  });
});
