// Names the classes of a photo by a bundle's inference.onnx, in C++ with OpenVINO and nothing else.
//
//   g++ -O2 -std=c++17 classify.cpp -o classify -I"$OV/include" -L"$OV/libs" -Wl,-rpath,"$OV/libs" \
//       -l:"$(basename "$OV"/libs/libopenvino.so*)"
//   ./classify BUNDLE/inference.onnx photo.ppm 256 224 [CLASSES]
//
// OV is OpenVINO's folder: python -c 'import openvino; print(openvino.__path__[0])'
//
// The photo is a binary PPM (convert photo.jpg photo.ppm), so that no library for images is needed;
// turned upright, as the predictor does with what cameras write. 256 and 224 are
// ResizeImage.resize_short and CropImage.size of inference.yml. The numbers of NormalizeImage below
// are those of ImageNet: take the ones of your inference.yml.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#include <openvino/openvino.hpp>

namespace {

// y = (x * scale - mean) / std, for red, green, blue
constexpr float SCALE = 1.0f / 255.0f;
constexpr float MEAN[3] = {0.485f, 0.456f, 0.406f};
constexpr float STD[3] = {0.229f, 0.224f, 0.225f};

struct Image {
    int height;
    int width;
    std::vector<std::uint8_t> pixels;  // height x width x 3, RGB

    std::uint8_t at(int y, int x, int channel) const {
        return pixels[(static_cast<std::size_t>(y) * width + x) * 3 + channel];
    }
};

Image read_ppm(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::string magic;
    int width = 0, height = 0, most = 0;
    file >> magic >> width >> height >> most;
    if (!file || magic != "P6" || most != 255 || width < 1 || height < 1 ||
        static_cast<long long>(width) * height > 100000000LL) {
        throw std::runtime_error(path + ": expected a binary PPM (P6) with 255 levels");
    }
    file.get();
    Image image{height, width, std::vector<std::uint8_t>(static_cast<std::size_t>(width) * height * 3)};
    file.read(reinterpret_cast<char*>(image.pixels.data()),
              static_cast<std::streamsize>(image.pixels.size()));
    if (!file) throw std::runtime_error(path + ": the file is truncated");
    return image;
}

// Bilinear, with the centres of pixels at half numbers and the border repeated: OpenCV's
// INTER_LINEAR, which has the same values but for the rounding of the last bit.
Image resize(const Image& source, int height, int width) {
    Image result{height, width, std::vector<std::uint8_t>(static_cast<std::size_t>(width) * height * 3)};
    const float step_y = static_cast<float>(source.height) / height;
    const float step_x = static_cast<float>(source.width) / width;
    for (int y = 0; y < height; ++y) {
        const float at_y = std::clamp((y + 0.5f) * step_y - 0.5f, 0.0f, source.height - 1.0f);
        const int top = static_cast<int>(at_y), bottom = std::min(top + 1, source.height - 1);
        for (int x = 0; x < width; ++x) {
            const float at_x = std::clamp((x + 0.5f) * step_x - 0.5f, 0.0f, source.width - 1.0f);
            const int left = static_cast<int>(at_x), right = std::min(left + 1, source.width - 1);
            const float down = at_y - top, along = at_x - left;
            for (int c = 0; c < 3; ++c) {
                const float above = source.at(top, left, c) * (1 - along) + source.at(top, right, c) * along;
                const float below =
                    source.at(bottom, left, c) * (1 - along) + source.at(bottom, right, c) * along;
                result.pixels[(static_cast<std::size_t>(y) * width + x) * 3 + c] =
                    static_cast<std::uint8_t>(std::lround(above * (1 - down) + below * down));
            }
        }
    }
    return result;
}

// ResizeImage.resize_short: the shorter side becomes `size`, the other one is rounded (half to even).
Image resize_short(const Image& source, int size) {
    const double ratio = static_cast<double>(size) / std::min(source.height, source.width);
    return resize(source, static_cast<int>(std::nearbyint(source.height * ratio)),
                  static_cast<int>(std::nearbyint(source.width * ratio)));
}

// CropImage, NormalizeImage and ToCHWImage: the centre, as float32 [1, 3, size, size].
ov::Tensor network_input(const Image& image, int size) {
    if (image.height < size || image.width < size) {
        throw std::runtime_error("the crop is larger than the resized image");
    }
    ov::Tensor tensor(ov::element::f32, {1, 3, static_cast<std::size_t>(size), static_cast<std::size_t>(size)});
    float* values = tensor.data<float>();
    const int top = (image.height - size) / 2, left = (image.width - size) / 2;
    for (int c = 0; c < 3; ++c) {
        for (int y = 0; y < size; ++y) {
            for (int x = 0; x < size; ++x) {
                *values++ = (image.at(top + y, left + x, c) * SCALE - MEAN[c]) / STD[c];
            }
        }
    }
    return tensor;
}

}  // namespace

int main(int count, char** arguments) try {
    if (count < 5) {
        std::cerr << "usage: classify inference.onnx photo.ppm RESIZE_SHORT CROP [CLASSES]\n";
        return 2;
    }
    const Image photo = resize_short(read_ppm(arguments[2]), std::atoi(arguments[3]));
    const std::size_t shown = count > 5 ? std::strtoul(arguments[5], nullptr, 10) : 5;
    ov::Core core;
    // Without the hint, OpenVINO computes in bfloat16 where the processor has it.
    ov::CompiledModel network = core.compile_model(
        arguments[1], "CPU", ov::hint::inference_precision(ov::element::f32));
    ov::InferRequest request = network.create_infer_request();
    request.set_input_tensor(network_input(photo, std::atoi(arguments[4])));
    request.infer();
    const ov::Tensor output = request.get_output_tensor();
    const float* probabilities = output.data<float>();
    std::vector<std::size_t> order(output.get_size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](std::size_t one, std::size_t other) {
        return probabilities[one] > probabilities[other];
    });
    for (std::size_t i = 0; i < std::min(shown, order.size()); ++i) {
        std::printf("%zu %.6f\n", order[i], probabilities[order[i]]);
    }
    return 0;
} catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
}
