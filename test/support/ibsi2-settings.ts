import { type Ibsi2Settings, ibsi2Schema } from '../../site-agent/radiomics/filters/ibsi2/settings.js';

/** Settings of IBSI 2's phase 1 as the reference folder has them: under MIRP's names, or as a sentence where MIRP has no test. */
export type Phase1Settings = Readonly<Record<string, string | number | boolean>> | string;

export function fromPhase1(settings: Phase1Settings): Ibsi2Settings {
  return ibsi2Schema.parse(typeof settings === 'string' ? fromSentence(settings) : fromNames(settings));
}

/** "Riesz-transformed LoG, zero padding, 3D, sigma 3.0 mm, cutoff 4 sigma, l=(1,0,0)" */
function fromSentence(text: string): unknown {
  const number = (pattern: RegExp): number => Number(pattern.exec(text)?.[1]);
  const riesz = (/l=\(([\d, ]+)\)/.exec(text)?.[1] ?? '').split(',').map(Number);
  const boundary = { zero: 'constant', nearest: 'nearest', mirror: 'reflect', periodic: 'wrap' }[
    /(zero|nearest|mirror|periodic) padding/.exec(text)?.[1] as 'zero'
  ];
  const filter = text.includes('LoG')
    ? { kind: 'log', sigmaMm: number(/sigma ([\d.]+) mm/), truncate: number(/cutoff ([\d.]+) sigma/), riesz }
    : { kind: 'simoncelli', level: number(/level (\d+)/), riesz };
  return { filter, boundary, dimension: text.includes('2D') ? '2D' : '3D' };
}

function fromNames(s: Readonly<Record<string, string | number | boolean>>): unknown {
  const dimension = s.by_slice ? '2D' : '3D';
  const pooled = (prefix: string) =>
    s[`${prefix}_rotation_invariance`] ? { pooling: s[`${prefix}_pooling_method`] } : {};
  switch (s.filter_kernels) {
    case 'mean':
      return {
        dimension,
        filter: { kind: 'mean', sizeVoxels: s.mean_filter_kernel_size },
        boundary: s.mean_filter_boundary_condition,
      };
    case 'laplacian_of_gaussian':
      return {
        dimension,
        filter: {
          kind: 'log',
          sigmaMm: s.laplacian_of_gaussian_sigma,
          truncate: s.laplacian_of_gaussian_kernel_truncate,
        },
        boundary: s.laplacian_of_gaussian_boundary_condition,
      };
    case 'laws':
      return {
        dimension,
        filter: {
          kind: 'laws',
          kernels: s.laws_kernel,
          ...(s.laws_compute_energy ? { energyDistance: s.laws_delta } : {}),
        },
        boundary: s.laws_boundary_condition,
        ...pooled('laws'),
      };
    case 'gabor':
      return {
        dimension,
        filter: {
          kind: 'gabor',
          sigmaMm: s.gabor_sigma,
          lambdaMm: s.gabor_lambda,
          gamma: s.gabor_gamma,
          thetaDegrees: s.gabor_theta,
          ...(s.gabor_theta_step === undefined ? {} : { thetaStepDegrees: s.gabor_theta_step }),
          // Rotation invariance in 3D means all three planes.
          planes: s.gabor_rotation_invariance && !s.by_slice ? 'orthogonal' : 'axial',
          response: s.gabor_response,
        },
        boundary: s.gabor_boundary_condition,
        ...pooled('gabor'),
      };
    case 'separable_wavelet':
      return {
        dimension,
        filter: {
          kind: 'wavelet',
          family: s.separable_wavelet_families,
          bands: s.separable_wavelet_set,
          level: s.separable_wavelet_decomposition_level ?? 1,
        },
        boundary: s.separable_wavelet_boundary_condition,
        ...pooled('separable_wavelet'),
      };
    default:
      return {
        dimension,
        filter: { kind: 'simoncelli', level: s.nonseparable_wavelet_decomposition_level },
        boundary: s.nonseparable_wavelet_boundary_condition,
      };
  }
}

/** Whether phase 2 has a consensus for a filter and configuration, as '5.B'; filters 10 and 11 are steered and have none. */
export const isPhase2 = (id: string): boolean => /^[1-9]\.[AB]$/.test(id);

/** Phase 2's filters by number, of configuration A (2D) or B (3D); null where there is none (filter 1). */
export function fromPhase2(number: string, configuration: string): Ibsi2Settings | null {
  const is2D = configuration === 'A';
  const filters: Record<string, unknown> = {
    2: { filter: { kind: 'mean', sizeVoxels: 5 } },
    3: { filter: { kind: 'log', sigmaMm: 1.5, truncate: 4 } },
    4: { filter: { kind: 'laws', kernels: is2D ? 'L5E5' : 'L5E5E5', energyDistance: 7 }, pooling: 'max' },
    5: {
      filter: {
        kind: 'gabor',
        sigmaMm: 5,
        lambdaMm: 2,
        gamma: 1.5,
        thetaStepDegrees: 22.5,
        planes: is2D ? 'axial' : 'orthogonal',
      },
      pooling: 'mean',
    },
    6: { filter: { kind: 'wavelet', family: 'db3', bands: is2D ? 'LH' : 'LLH' }, pooling: 'mean' },
    7: { filter: { kind: 'wavelet', family: 'db3', bands: is2D ? 'HH' : 'HHH', level: 2 }, pooling: 'mean' },
    8: { filter: { kind: 'simoncelli', level: 1 } },
    9: { filter: { kind: 'simoncelli', level: 2 } },
  };
  const chosen = filters[number];
  if (chosen === undefined) return null;
  return ibsi2Schema.parse({ ...chosen, boundary: 'reflect', dimension: is2D ? '2D' : '3D' });
}
