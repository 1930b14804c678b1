import { describe, expect, it } from 'vitest';
import { type Imaging, imagingContradictions, imagingSchema } from '../../shared/imaging.js';
import { parseTable } from '../../site-agent/cohort-table.site.js';
import { imageRows } from '../../site-agent/imaging/images-table.js';
import { caseFeatureNames, caseFeatures, type ExtractedRegion } from '../../site-agent/radiomics/case-features.js';
import { casePlans } from '../../site-agent/radiomics/case-plan.js';

const imaging = (more: Record<string, unknown> = {}): Imaging =>
  imagingSchema.parse({ phases: ['arterial', 'portal-venous'], ...more });
const rows = (csv: string) => imageRows(parseTable(csv, 'images.csv'));
const TWO_REGIONS = [
  { name: 'lesion', kind: 'lesion' },
  { name: 'ring5', kind: 'ring', mm: 5 },
];

function region(
  more: Partial<Omit<ExtractedRegion, 'features'>> & { readonly features: Record<string, number | null> },
): ExtractedRegion {
  const features = new Map(Object.entries(more.features).map(([name, value]) => [name, { value }]));
  return {
    timepoint: '',
    phase: 'arterial',
    region: 'lesion',
    volumeMm3: 1,
    date: null,
    spacingMm: [1, 1, 1],
    ...more,
    features,
  };
}
const values = (set: ReturnType<typeof caseFeatures>) =>
  Object.fromEntries([...set].map(([name, { value }]) => [name, value]));

describe('a table of images', () => {
  it('says for each case which image, mask and label, with the organ beside the lesion', () => {
    const [one, two] = rows(
      'case,phase,image,mask,label,organ_label\np1,arterial,a.nii,m.nii,2,5\np2,arterial,b.nii,m2.nii,,\n',
    );
    expect(one).toEqual({
      case: 'p1',
      phase: 'arterial',
      timepoint: '',
      image: 'a.nii',
      mask: 'm.nii',
      label: 2,
      lesion: '2',
      organ: 'm.nii',
      organLabel: 5,
      date: null,
      reader: '',
    });
    expect([two!.label, two!.organ]).toEqual([1, null]);
  });

  it('is refused with every problem at once, no cell quoted', () => {
    const csv =
      'case,fase,image,label,date\nCANARY,x,a.nii,0,2026-02-30\nCANARY,x,,1,2026-02-03\nCANARY,x,a.nii,1,\nCANARY,x,a.nii,1,\n';
    let text = '';
    try {
      rows(csv);
    } catch (error) {
      text = (error as { problems: { message: string }[] }).problems.map(({ message }) => message).join('\n');
    }
    for (const part of ['no column "mask"', 'unknown column', 'no whole number', 'no day', 'is empty', 'stand in row'])
      expect(text).toContain(part);
    expect(text).not.toContain('CANARY');
  });
});

describe('what is extracted for a case', () => {
  it('is each phase and region; a phase that is not there is named, other readers are left aside', () => {
    const plans = casePlans(
      imaging({ regions: TWO_REGIONS }),
      rows(
        'case,phase,image,mask,reader\np1,arterial,a.nii,m.nii,\np1,portal-venous,b.nii,m.nii,\np1,arterial,a.nii,r2.nii,second\np2,arterial,c.nii,m.nii,\n',
      ),
    );
    expect(plans.map((plan) => [plan.case, plan.tasks.length, plan.missing])).toEqual([
      ['p1', 4, []],
      ['p2', 2, ['phase portal-venous']],
    ]);
  });

  it('takes a table without phases for a study of one', () => {
    const [plan] = casePlans(imaging({ phases: ['t2'] }), rows('case,image,mask\np1,a.nii,m.nii\n'));
    expect(plan!.tasks.map(({ phase }) => phase)).toEqual(['t2']);
  });
});

describe('features of a case', () => {
  it('are named by phase and region, with differences and ratios between phases', () => {
    const plan = imaging({
      regions: TWO_REGIONS,
      difference: [['arterial', 'portal-venous']],
      ratio: [['arterial', 'portal-venous']],
    });
    const set = caseFeatures(plan, [
      region({ features: { original_f: 6 } }),
      region({ phase: 'portal-venous', features: { original_f: 4 } }),
      region({ region: 'ring5', features: { original_f: 3 } }),
    ]);
    expect(values(set)).toEqual({
      arterial_original_f: 6,
      'portal-venous_original_f': 4,
      arterial_ring5_original_f: 3,
      'arterial-minus-portal-venous_original_f': 2,
      'arterial-minus-portal-venous_ring5_original_f': null,
      'arterial-over-portal-venous_original_f': 1.5,
      'arterial-over-portal-venous_ring5_original_f': null,
    });
    expect(set.get('arterial-minus-portal-venous_ring5_original_f')!.reason).toMatch(/missing/);
    expect(caseFeatureNames(plan, ['original_f'])).toEqual([
      'arterial_original_f',
      'arterial_ring5_original_f',
      'portal-venous_original_f',
      'portal-venous_ring5_original_f',
      'arterial-minus-portal-venous_original_f',
      'arterial-over-portal-venous_original_f',
      'arterial-minus-portal-venous_ring5_original_f',
      'arterial-over-portal-venous_ring5_original_f',
    ]);
  });

  it('of several lesions are those of the largest, or means weighted by volume', () => {
    const lesions = [
      region({ volumeMm3: 1, features: { f: 10, g: 1 } }),
      region({ volumeMm3: 3, features: { f: 2, g: null } }),
      region({ volumeMm3: 3, features: { f: 7, g: 5 } }),
    ];
    expect(values(caseFeatures(imaging(), lesions))).toEqual({ arterial_f: 2, arterial_g: null });
    const weighted = caseFeatures(imaging({ lesions: 'volume-weighted' }), lesions);
    expect(values(weighted)).toEqual({ arterial_f: (10 + 6 + 21) / 7, arterial_g: null });
    expect(weighted.get('arterial_g')!.reason).toBe('a lesion has no value');
    const all = caseFeatures(imaging({ lesions: 'all', difference: [['arterial', 'portal-venous']] }), lesions);
    expect(values(all)).toMatchObject({
      arterial_lesions: 3,
      arterial_f_mean: 19 / 3,
      arterial_f_min: 2,
      arterial_f_max: 10,
      arterial_g_mean: 3,
      arterial_g_min: 1,
      arterial_g_max: 5,
      'arterial-minus-portal-venous_f_max': null,
    });
  });

  it('between two time points need the same voxel size and, by day, both dates', () => {
    const plan = (kind: string) =>
      imaging({ phases: ['arterial'], timepoints: ['before', 'after'], delta: { from: 'before', to: 'after', kind } });
    const two = (more: Partial<ExtractedRegion> = {}) => [
      region({ timepoint: 'before', date: '2026-01-01', features: { f: 4 } }),
      { ...region({ timepoint: 'after', date: '2026-01-11', features: { f: 5 } }), ...more },
    ];
    const delta = (kind: string, more?: Partial<ExtractedRegion>) =>
      caseFeatures(plan(kind), two(more)).get('delta_arterial_f');
    expect(delta('absolute')!.value).toBe(1);
    expect(delta('relative')!.value).toBe(0.25);
    expect(delta('per-day')!.value).toBe(0.1);
    expect(delta('per-day', { date: null })!.reason).toMatch(/interval/);
    expect(delta('absolute', { date: null })!.value).toBe(1);
    expect(delta('absolute', { date: '2025-12-31' })!.reason).toMatch(/not after/);
    expect(delta('relative', { spacingMm: [1, 1, 2] })!.reason).toMatch(/voxel size/);
    const days = (more?: Partial<ExtractedRegion>) => caseFeatures(plan('relative'), two(more)).get('delta_days')!;
    expect(days().value).toBe(10);
    expect(days({ date: null })).toMatchObject({ value: null, reason: expect.stringMatching(/not known/) });
    expect(days({ date: '2026-01-01' })).toMatchObject({ value: null, reason: expect.stringMatching(/not after/) });
    expect(caseFeatureNames(plan('relative'), ['f'])).toEqual([
      'before_arterial_f',
      'after_arterial_f',
      'delta_days',
      'delta_arterial_f',
    ]);
  });
});

describe('an imaging section', () => {
  it('must agree with itself', () => {
    const wrong = imaging({
      phases: ['arterial', 'arterial'],
      regions: [
        { name: 'ring', kind: 'ring' },
        { name: 'lesion', kind: 'lesion', mm: 3 },
      ],
      difference: [['arterial', 'late']],
      ratio: [['arterial', 'arterial']],
      timepoints: ['a', 'b'],
      delta: { from: 'b', to: 'a' },
    });
    expect(imagingContradictions(wrong).map(({ message }) => message)).toEqual([
      '"arterial" is listed twice',
      'region "ring" needs its width in mm',
      'the lesion itself has no width',
      '"late" is not among phases',
      'a phase is compared with itself',
      '"from" must come before "to" in timepoints',
    ]);
    expect(imagingContradictions(imaging())).toEqual([]);
  });
});
