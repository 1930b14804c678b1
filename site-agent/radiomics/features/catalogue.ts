/**
 * PyRadiomics' features by class, in its order, with the code of the IBSI feature that each one is, where it is one. A deprecated
 * feature is computed only when it is asked for by name; one that PyRadiomics no longer computes at all is `withdrawn`.
 */
export interface CatalogueEntry {
  readonly name: string;
  readonly code?: string;
  readonly deprecated?: 'computed' | 'withdrawn';
}

export type FeatureClass = 'firstorder' | 'glcm' | 'gldm' | 'glrlm' | 'glszm' | 'ngtdm' | 'shape' | 'shape2D';

/** "Name:code", a name without a code alone; ? marks a deprecated feature that is still computed, ! a withdrawn one. */
const LISTS: Record<FeatureClass, string> = {
  firstorder: `
    10Percentile:QG58 90Percentile:8DWT Energy:N8CA Entropy:TLU2 InterquartileRange:SALO Kurtosis Maximum:84IY
    MeanAbsoluteDeviation:4FUA Mean:Q4LE Median:Y12H Minimum:1GSF Range:2OJQ RobustMeanAbsoluteDeviation:1128
    RootMeanSquared:5ZWQ Skewness:KE2A StandardDeviation? TotalEnergy Uniformity:BJ5W Variance:ECT3`,
  glcm: `
    Autocorrelation ClusterProminence:AE86 ClusterShade:7NFM ClusterTendency:DG8W Contrast:ACUI Correlation:NI2N
    DifferenceAverage:TF7R DifferenceEntropy:NTRS DifferenceVariance:D3YU Dissimilarity:8S9J! Homogeneity1! Homogeneity2!
    Id:IB1Z Idm:WF0Z Idmn:1QCO Idn:NDRX Imc1 Imc2 InverseVariance:E8JP JointAverage:60VM JointEnergy:8ZQL
    JointEntropy:TU9B MCC MaximumProbability:GYBY SumAverage:ZGXS SumEntropy:P6QZ SumSquares:UR99 SumVariance:OEEB!`,
  gldm: `
    DependenceEntropy:FCBV DependenceNonUniformity:Z87G DependenceNonUniformityNormalized:OKJI DependencePercentage:6XV8!
    DependenceVariance:DNX2 GrayLevelNonUniformity:FP8K GrayLevelNonUniformityNormalized:5SPA! GrayLevelVariance:1PFV
    HighGrayLevelEmphasis:OAE7 LargeDependenceEmphasis:IMOQ LargeDependenceHighGrayLevelEmphasis:9QMG
    LargeDependenceLowGrayLevelEmphasis:NBZI LowGrayLevelEmphasis:TL9H SmallDependenceEmphasis:SODN
    SmallDependenceHighGrayLevelEmphasis:JA6D SmallDependenceLowGrayLevelEmphasis:EQ3F`,
  glrlm: `
    GrayLevelNonUniformity:R5YN GrayLevelNonUniformityNormalized:OVBL GrayLevelVariance:8CE5 HighGrayLevelRunEmphasis:G3QZ
    LongRunEmphasis:W4KF LongRunHighGrayLevelEmphasis:3KUM LongRunLowGrayLevelEmphasis:IVPO LowGrayLevelRunEmphasis:V3SW
    RunEntropy:HJ9O RunLengthNonUniformity:W92Y RunLengthNonUniformityNormalized:IC23 RunPercentage:9ZK5 RunVariance:SXLW
    ShortRunEmphasis:22OV ShortRunHighGrayLevelEmphasis:GD3A ShortRunLowGrayLevelEmphasis:HTZT`,
  glszm: `
    GrayLevelNonUniformity:JNSA GrayLevelNonUniformityNormalized:Y1RO GrayLevelVariance:BYLV HighGrayLevelZoneEmphasis
    LargeAreaEmphasis:48P8 LargeAreaHighGrayLevelEmphasis LargeAreaLowGrayLevelEmphasis LowGrayLevelZoneEmphasis
    SizeZoneNonUniformity:4JP3 SizeZoneNonUniformityNormalized:VB3A SmallAreaEmphasis:5QRC SmallAreaHighGrayLevelEmphasis
    SmallAreaLowGrayLevelEmphasis ZoneEntropy ZonePercentage:P30P ZoneVariance`,
  ngtdm: `
    Busyness:NQ30 Coarseness:QCDE Complexity:HDEZ Contrast:65HE Strength:1X9X`,
  shape: `
    Compactness1:SKGS? Compactness2:BQWJ? Elongation:Q3CK Flatness:N17B LeastAxisLength:7J51 MajorAxisLength:TDIC
    Maximum2DDiameterColumn Maximum2DDiameterRow Maximum2DDiameterSlice Maximum3DDiameter:L0JK MeshVolume:RNU0
    MinorAxisLength:P9VJ SphericalDisproportion:KRCK? Sphericity:QCFX SurfaceArea:C0JK SurfaceVolumeRatio:2PR5
    VoxelVolume:YEKZ`,
  shape2D: `
    Elongation MajorAxisLength MaximumDiameter MeshSurface MinorAxisLength Perimeter PerimeterSurfaceRatio PixelSurface
    SphericalDisproportion? Sphericity`,
};

export const CATALOGUE: Readonly<Record<FeatureClass, readonly CatalogueEntry[]>> = Object.fromEntries(
  Object.entries(LISTS).map(([featureClass, list]) => [featureClass, list.trim().split(/\s+/).map(entryOf)]),
) as unknown as Record<FeatureClass, readonly CatalogueEntry[]>;

function entryOf(word: string): CatalogueEntry {
  const [, name, code, mark] = /^(\w+)(?::(\w+))?([?!])?$/.exec(word)!;
  return {
    name: name!,
    ...(code === undefined ? {} : { code }),
    ...(mark === undefined ? {} : { deprecated: mark === '?' ? 'computed' : 'withdrawn' }),
  };
}
