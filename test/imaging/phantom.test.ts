import { describe, expect, it } from 'vitest';
import {
  PHANTOM_PHASES,
  type PhantomLesion,
  type PhantomScanner,
  phantomCase,
} from '../../site-agent/imaging/phantom/phantom.js';
import { roiOf, valuesIn } from '../../site-agent/imaging/roi.js';

const SCANNER: PhantomScanner = {
  modality: 'CT',
  spacingMm: [1.5, 1.5, 2.5],
  kernelMm: 1,
  noise: 8,
  offset: 0,
  gain: 1,
};
const LESION: PhantomLesion = { radiusMm: 12, irregularity: 0, heterogeneity: 0, grainMm: 3 };

const mean = (values: Float64Array) => values.reduce((sum, value) => sum + value, 0) / values.length;
const sd = (values: Float64Array) => {
  const centre = mean(values);
  return Math.sqrt(values.reduce((sum, value) => sum + (value - centre) * (value - centre), 0) / values.length);
};

describe('a simulated lesion', () => {
  it('without irregularity is a ball of its radius', () => {
    const { labels } = phantomCase(LESION, { ...SCANNER, spacingMm: [1, 1, 1] }, 1);
    const volume = roiOf(labels).indices.length;
    expect(volume / ((4 / 3) * Math.PI * 12 * 12 * 12) - 1).toBeCloseTo(0, 1);
  });

  it('is the same from the same seed, another from another, and stays within its box', () => {
    const lesion = { ...LESION, irregularity: 0.2, heterogeneity: 20 };
    const one = phantomCase(lesion, SCANNER, 7, 'a');
    expect(phantomCase(lesion, SCANNER, 7, 'a')).toEqual(one);
    expect(phantomCase(lesion, SCANNER, 7, 'b').labels.data).not.toEqual(one.labels.data);
    const { box } = roiOf(one.labels);
    for (let axis = 0; axis < 3; axis++) {
      expect(box!.lower[axis]).toBeGreaterThan(0);
      expect(box!.upper[axis]).toBeLessThan(one.labels.size[axis]! - 1);
    }
  });

  it('is bright in the arterial phase and washes out in the portal venous one, on both modalities', () => {
    for (const modality of ['CT', 'MR'] as const) {
      const { images, labels } = phantomCase(LESION, { ...SCANNER, modality }, 3);
      const inside = PHANTOM_PHASES.map((phase) => mean(valuesIn(images[phase], roiOf(labels, 1))));
      const around = PHANTOM_PHASES.map((phase) => mean(valuesIn(images[phase], roiOf(labels, 2))));
      expect(inside[0]).toBeGreaterThan(around[0]!);
      expect(inside[1]).toBeLessThan(around[1]!);
    }
  });

  it('grows rougher with irregularity, and its values spread with heterogeneity and noise', () => {
    const surface = (irregularity: number) => {
      const { labels } = phantomCase({ ...LESION, irregularity }, SCANNER, 5);
      const [nx, ny] = labels.size;
      const roi = roiOf(labels);
      let faces = 0;
      for (const at of roi.indices)
        for (const step of [1, -1, nx, -nx, nx * ny, -nx * ny]) if (labels.data[at + step] !== 1) faces++;
      return faces / Math.cbrt(roi.indices.length) / Math.cbrt(roi.indices.length);
    };
    expect(surface(0.2)).toBeGreaterThan(1.1 * surface(0));
    const spread = (lesion: PhantomLesion, scanner: PhantomScanner) => {
      const { images, labels } = phantomCase(lesion, scanner, 5);
      return sd(valuesIn(images.arterial, roiOf(labels)));
    };
    const quiet = { ...SCANNER, noise: 0 };
    expect(spread({ ...LESION, heterogeneity: 20 }, quiet)).toBeGreaterThan(2 * spread(LESION, quiet));
    expect(spread(LESION, { ...SCANNER, noise: 30 })).toBeGreaterThan(2 * spread(LESION, SCANNER));
    // A sharper kernel keeps more of the texture.
    const rough = { ...LESION, heterogeneity: 20 };
    expect(spread(rough, { ...quiet, kernelMm: 0.5 })).toBeGreaterThan(1.15 * spread(rough, { ...quiet, kernelMm: 2 }));
  });
});
