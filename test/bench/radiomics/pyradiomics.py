"""PyRadiomics on the images that the benchmark wrote; prints seconds as JSON. One thread; the better of the runs asked for."""
import json, logging, sys, time, warnings

warnings.filterwarnings("ignore")
import numpy as np
import radiomics
import SimpleITK as sitk
from radiomics import featureextractor, firstorder, glcm, gldm, glrlm, glszm, ngtdm, shape

radiomics.logger.setLevel(logging.CRITICAL)
sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
CLASSES = {
    "firstorder": firstorder.RadiomicsFirstOrder,
    "shape": shape.RadiomicsShape,
    "glcm": glcm.RadiomicsGLCM,
    "glrlm": glrlm.RadiomicsGLRLM,
    "glszm": glszm.RadiomicsGLSZM,
    "gldm": gldm.RadiomicsGLDM,
    "ngtdm": ngtdm.RadiomicsNGTDM,
}


def volume(header, kind):
    array = np.fromfile(header[kind], dtype=header[kind + "Type"]).reshape(header["size"][::-1])
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(header["spacingMm"])
    return image


def best(runs, work):
    """Least wall seconds and least CPU seconds."""
    times = []
    for _ in range(runs):
        start, cpu = time.perf_counter(), time.process_time()
        work()
        times.append((time.perf_counter() - start, time.process_time() - cpu))
    return min(wall for wall, _ in times), min(cpu for _, cpu in times)


job = json.load(open(sys.argv[1]))
image, mask = volume(job, "image"), volume(job, "mask")
if job.get("params"):
    wall, cpu = best(job["runs"], lambda: featureextractor.RadiomicsFeatureExtractor(job["params"]).execute(image, mask))
    seconds = {"all": wall, "cpu": cpu}
else:
    seconds = {}
    for name, cls in CLASSES.items():
        def work(cls=cls):
            features = cls(image, mask, label=1, binWidth=25)
            features.enableAllFeatures()
            features.execute()

        seconds[name], _ = best(job["runs"], work)
print(json.dumps({"version": radiomics.__version__, "seconds": seconds}))
