#include "../../examples/generate_digits/mnist.hpp"

#include <gtest/gtest.h>
#include <zlib.h>

#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>

namespace {

// Two pictures of 2 × 3 pixels and their labels 7 and 1.
const std::string images{
    "\0\0\x08\x03\0\0\0\x02\0\0\0\x02\0\0\0\x03"
    "\x00\xff\x00\x01\x02\x03"
    "\x04\x05\x06\x07\x08\x09",
    28};
const std::string labels{"\0\0\x08\x01\0\0\0\x02\x07\x01", 10};

class idx : public testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directories(folder); }
  void TearDown() override { std::filesystem::remove_all(folder); }

  std::filesystem::path file(const std::string& name, const std::string& bytes) const {
    std::ofstream(folder / name, std::ios::binary) << bytes;
    return folder / name;
  }
  std::string refusal(const std::string& image_bytes, const std::string& label_bytes) const {
    try {
      digits::read_mnist(file("images", image_bytes), file("labels", label_bytes));
      return "none";
    } catch (const std::runtime_error& error) {
      return error.what();
    }
  }
  static bool says(const std::string& message, const std::string& part) {
    return message.find(part) != std::string::npos;
  }

  std::filesystem::path folder =
      std::filesystem::temp_directory_path() /
      (std::string("tweedie_") + testing::UnitTest::GetInstance()->current_test_info()->name());
};

TEST_F(idx, reads_pictures_and_labels) {
  const digits::dataset data = digits::read_mnist(file("i", images), file("l", labels));
  EXPECT_EQ(data.tile.height, 2);
  EXPECT_EQ(data.tile.width, 3);
  EXPECT_EQ(data.labels, (std::vector<int>{7, 1}));
  EXPECT_EQ(data.classes(), 8);
  EXPECT_EQ(data.pictures(0, 0), -1.0f);
  EXPECT_EQ(data.pictures(1, 0), 1.0f);
  EXPECT_FLOAT_EQ(data.pictures(5, 1), 9 / 127.5f - 1);
}

TEST_F(idx, reads_gzip) {
  const auto path = folder / "images.gz";
  const gzFile out = gzopen(path.c_str(), "wb");
  gzwrite(out, images.data(), static_cast<unsigned>(images.size()));
  gzclose(out);
  EXPECT_EQ(digits::read_mnist(path, file("l", labels)).pictures,
            digits::read_mnist(file("i", images), file("l", labels)).pictures);
}

TEST_F(idx, refuses_what_is_missing_truncated_or_too_long) {
  EXPECT_THROW(digits::read_idx(folder / "absent", 3), std::runtime_error);
  for (std::size_t length = 0; length < images.size(); ++length)
    EXPECT_TRUE(says(refusal(images.substr(0, length), labels), "ends early")) << length;
  for (std::size_t length = 0; length < labels.size(); ++length)
    EXPECT_TRUE(says(refusal(images, labels.substr(0, length)), "ends early")) << length;
  EXPECT_TRUE(says(refusal(images + "x", labels), "after the last item"));
}

TEST_F(idx, refuses_other_files) {
  EXPECT_TRUE(says(refusal(labels, labels), "not an IDX file of unsigned bytes with 3"));
  EXPECT_TRUE(says(refusal(images, images), "not an IDX file of unsigned bytes with 1"));
  EXPECT_TRUE(says(refusal("GIF89a, surely", labels), "not an IDX file"));
  std::string empty = images, huge = images;
  empty[7] = 0;
  huge[4] = huge[8] = '\x7f';
  EXPECT_TRUE(says(refusal(empty, labels), "dimension 0 = 0 is not plausible"));
  EXPECT_TRUE(says(refusal(huge, labels), "not plausible"));
}

TEST_F(idx, refuses_pictures_and_labels_that_differ_in_number) {
  std::string three = labels + "\x02";
  three[7] = 3;
  EXPECT_TRUE(says(refusal(images, three), "2 pictures"));
}

}  // namespace
