import { describe, expect, it } from 'vitest';
import { compareGrids } from '../../site-agent/imaging/compare-grids.js';
import { readImage } from '../../site-agent/imaging/shell/read-file.js';
import { readMask } from '../../site-agent/imaging/shell/read-mask.js';
import { imagesFolder, radiomicsFolder } from '../support/images.js';

const radiomics = radiomicsFolder();
const images = imagesFolder();

describe.runIf(radiomics !== null)('the IBSI CT phantom', () => {
  const folder = `${radiomics}/ibsi1/ct_phantom`;

  it('is the same image as DICOM series and as NIfTI', async () => {
    const dicom = await readImage(`${folder}/dicom`);
    const nifti = await readImage(`${folder}/phantom.nii.gz`);
    expect(compareGrids(dicom, nifti)).toEqual([]);
    expect(dicom.data).toBeInstanceOf(Int16Array);
    expect(dicom.data.every((value, i) => value === nifti.data[i])).toBe(true);
  });

  it('has the same mask as NIfTI, SEG and RTSTRUCT: 0 differences', async () => {
    const image = await readImage(`${folder}/dicom`);
    const nifti = (await readMask(`${folder}/mask.nii.gz`)).region(1, image);
    expect(nifti.data.reduce((sum, value) => sum + value, 0)).toBe(125256);
    for (const file of ['dicom_seg/GTV-1_SEG.dcm', 'dicom/DCM_RS_00060.dcm', 'dicom']) {
      const region = (await readMask(`${folder}/${file}`)).region(1, image);
      expect(
        region.data.reduce((sum, value, i) => sum + Math.abs(value - nifti.data[i]!), 0),
        file,
      ).toBe(0);
    }
  });
});

describe.runIf(images !== null)('SEG, NRRD and label maps of real files', () => {
  it.each([
    ['dcmqi_liver/ct-3slice', 'dcmqi_liver/liver.dcm', 'dcmqi_liver/liver_seg.nrrd', 107098],
    ['dcmqi_23x38x3/image', 'dcmqi_23x38x3/seg/label.seg', 'dcmqi_23x38x3/nrrd/label.nrrd', 322],
    ['dcmqi_23x38x3/multiframe/mf.dcm', 'dcmqi_23x38x3/seg/label.seg', 'dcmqi_23x38x3/nrrd/label.nrrd', 322],
  ])('agree voxel by voxel on %s', async (image, one, other, voxels) => {
    const grid = await readImage(`${images}/${image}`);
    const [seg, labels] = await Promise.all(
      [one, other].map(async (file) => (await readMask(`${images}/${file}`)).region(1, grid)),
    );
    expect(seg!.data.reduce((sum, value) => sum + value, 0)).toBe(voxels);
    expect(Buffer.compare(seg!.data, labels!.data)).toBe(0);
  });
});
