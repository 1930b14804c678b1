import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { phantomCohort, writePhantomSite } from '../../cli/phantom-cohort.js';
import { readCohortConfig, readTable } from '../../site-agent/cohort-files.js';
import { imageRows } from '../../site-agent/imaging/images-table.js';
import { roiOf } from '../../site-agent/imaging/roi.js';
import { readImageFile } from '../../site-agent/imaging/shell/read-file.js';

const folder = mkdtempSync(path.join(tmpdir(), 'concordat-phantom-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('a cohort of simulated lesions', () => {
  const sites = phantomCohort({ seed: 3, sites: ['alder', 'birch', 'cedar'], casesPerSite: 400, modality: 'CT' });

  it('has an outcome that follows irregular shape and rough texture', () => {
    const patients = sites.flatMap((site) => site.patients).filter(({ mvi }) => mvi !== null);
    const mean = (of: (patient: (typeof patients)[number]) => number, mvi: number) => {
      const group = patients.filter((patient) => patient.mvi === mvi);
      return group.reduce((sum, patient) => sum + of(patient), 0) / group.length;
    };
    expect(mean(({ lesion }) => lesion.irregularity, 1)).toBeGreaterThan(
      mean(({ lesion }) => lesion.irregularity, 0) + 0.015,
    );
    expect(mean(({ lesion }) => lesion.heterogeneity, 1)).toBeGreaterThan(
      mean(({ lesion }) => lesion.heterogeneity, 0) + 1.5,
    );
    expect(phantomCohort({ seed: 3, sites: ['alder'], casesPerSite: 400, modality: 'CT' })[0]).toEqual(sites[0]);
  });

  it('is written as images, masks and tables that a site reads, one of them in German', () => {
    const site = { ...sites[2]!, patients: sites[2]!.patients.slice(0, 2) };
    writePhantomSite(site, 3, folder);
    const config = readCohortConfig(path.join(folder, 'cohort.yaml'));
    expect(readTable(path.join(folder, config.table), config.separator).rows.length).toBe(2);
    const rows = imageRows(readTable(path.join(folder, config.images!.table)));
    expect(rows.map(({ phase }) => phase)).toEqual(['arterial', 'portal-venous', 'arterial', 'portal-venous']);
    const mask = readImageFile(path.join(folder, rows[0]!.mask));
    const image = readImageFile(path.join(folder, rows[0]!.image));
    expect(image.size).toEqual(mask.size);
    expect(image.spacingMm.map((mm) => Math.round(mm * 1e4) / 1e4)).toEqual([...site.scanner.spacingMm]);
    expect(roiOf(mask, rows[0]!.label).indices.length).toBeGreaterThan(500);
    expect(readFileSync(path.join(folder, 'cases.csv'), 'utf8')).toContain('Gefaessinvasion');
  });
});
