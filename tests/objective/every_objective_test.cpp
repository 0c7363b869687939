// Laws that every objective of the table keeps.
#include <gtest/gtest.h>

#include <thread>

#include "objective/objectives.hpp"

namespace {

using namespace tweedie_test;
using Eigen::Index;

template <class Matrix>
struct answer {
  std::vector<double> values;
  std::vector<Matrix> written;
};

template <class Matrix>
answer<Matrix> evaluate(const objective& o, const std::vector<Matrix>& tensors,
                        std::span<const double> numbers) {
  answer<Matrix> out;
  out.written.assign(o.written, Matrix::Zero(tensors[0].rows(), tensors[0].cols()));
  if constexpr (std::same_as<Matrix, MatrixXf>)
    out.values = o.in_float(tensors, numbers, out.written);
  else
    out.values = o.in_double(tensors, numbers, out.written);
  return out;
}

template <class T>
std::vector<std::vector<T>> columns(const std::vector<MatrixXd>& tensors, Index item) {
  std::vector<std::vector<T>> out;
  for (const MatrixXd& t : tensors) {
    out.emplace_back();
    for (const double v : t.col(item)) out.back().push_back(T(v));
  }
  return out;
}

class every_objective : public testing::TestWithParam<objective> {};

TEST_P(every_objective, equals_its_formula) {
  const objective& o = GetParam();
  if (!o.value) return;
  const auto& [tensors, numbers] = o.arguments;
  const auto all = evaluate(o, tensors, numbers);
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const double value = o.value(columns<double>(tensors, static_cast<Index>(i)), numbers[i]);
    EXPECT_LE(std::abs(all.values[i] - value), o.tolerance * std::max(1e-3, std::abs(value)))
        << "item " << i;
  }
}

TEST_P(every_objective, gradients_equal_forward_mode) {
  const objective& o = GetParam();
  if (!o.value) return;
  const auto& [tensors, numbers] = o.arguments;
  const auto all = evaluate(o, tensors, numbers);
  for (std::size_t k = 0; k < o.written; ++k)
    for (Index i = 0; i < tensors[k].cols(); ++i) {
      const double largest = all.written[k].col(i).cwiseAbs().maxCoeff();
      for (Index j = 0; j < tensors[k].rows(); ++j) {
        auto at = columns<differentiated>(tensors, i);
        at[k][nth(j)] = variable(tensors[k](j, i));
        const double slope = o.differentiated_value(at, numbers[nth(i)]).derivatives()[0];
        EXPECT_LE(std::abs(all.written[k](j, i) - slope),
                  o.tolerance * (std::abs(slope) + 1e-3 * largest))
            << "tensor " << k << ", item " << i << ", element " << j;
      }
    }
}

// What a central difference of step h leaves: h^2 of the third derivative, and the rounding of the
// value divided by h.
TEST_P(every_objective, gradients_equal_central_differences) {
  const objective& o = GetParam();
  if (!o.value) return;
  const auto& [tensors, numbers] = o.arguments;
  const auto all = evaluate(o, tensors, numbers);
  for (std::size_t k = 0; k < o.written; ++k)
    for (Index j = 0; j < tensors[k].rows(); ++j) {
      std::vector<MatrixXd> up = tensors, down = tensors;
      const Eigen::VectorXd h = 1e-5 * tensors[k].row(j).cwiseAbs().cwiseMax(1);
      up[k].row(j) += h;
      down[k].row(j) -= h;
      const auto above = evaluate(o, up, numbers), below = evaluate(o, down, numbers);
      for (Index i = 0; i < h.size(); ++i) {
        const std::size_t item = nth(i);
        const double slope = (above.values[item] - below.values[item]) / (2 * h[i]);
        EXPECT_LE(std::abs(all.written[k](j, i) - slope),
                  1e-6 * std::abs(slope) + 4e-15 * std::abs(all.values[item]) / h[i] + 1e-10)
            << "tensor " << k << ", item " << i << ", element " << j;
      }
    }
}

template <class Matrix>
void expect_items_to_be_independent(const objective& o) {
  std::vector<Matrix> tensors;
  for (const MatrixXd& t : o.arguments.tensors)
    tensors.push_back(t.cast<typename Matrix::Scalar>());
  const std::vector<double>& numbers = o.arguments.numbers;
  const auto all = evaluate(o, tensors, numbers);
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    std::vector<Matrix> one;
    for (const Matrix& t : tensors) one.push_back(t.col(static_cast<Index>(i)));
    const auto alone = evaluate(o, one, std::span(&numbers[i], 1));
    if (!alone.values.empty()) {
      EXPECT_EQ(alone.values[0], all.values[i]) << "item " << i;
    }
    for (std::size_t k = 0; k < o.written; ++k)
      EXPECT_EQ(alone.written[k], all.written[k].col(static_cast<Index>(i))) << "item " << i;
  }
}

TEST_P(every_objective, gives_an_item_the_same_bits_alone_and_in_a_batch) {
  expect_items_to_be_independent<MatrixXd>(GetParam());
  expect_items_to_be_independent<MatrixXf>(GetParam());
}

TEST_P(every_objective, agrees_in_float_and_double) {
  const objective& o = GetParam();
  std::vector<MatrixXf> single;
  std::vector<MatrixXd> rounded;
  for (const MatrixXd& t : o.arguments.tensors) {
    single.push_back(t.cast<float>());
    rounded.push_back(single.back().cast<double>());
  }
  const auto a = evaluate(o, single, o.arguments.numbers);
  const auto b = evaluate(o, rounded, o.arguments.numbers);
  ASSERT_EQ(a.values.size(), b.values.size());
  for (std::size_t i = 0; i < a.values.size(); ++i)
    EXPECT_LE(std::abs(a.values[i] - b.values[i]), 2e-6 * (std::abs(b.values[i]) + o.cancelled))
        << "item " << i;
  for (std::size_t k = 0; k < o.written; ++k)
    for (Index i = 0; i < b.written[k].cols(); ++i)
      EXPECT_LE((a.written[k].col(i).cast<double>() - b.written[k].col(i)).cwiseAbs().maxCoeff(),
                2e-6 * b.written[k].col(i).cwiseAbs().maxCoeff())
          << "tensor " << k << ", item " << i;
}

TEST_P(every_objective, gives_the_same_bits_in_every_thread_and_every_time) {
  const objective& o = GetParam();
  const auto once = evaluate(o, o.arguments.tensors, o.arguments.numbers);
  std::vector<answer<MatrixXd>> again(4);
  {
    std::vector<std::jthread> threads;
    for (auto& out : again)
      threads.emplace_back([&] { out = evaluate(o, o.arguments.tensors, o.arguments.numbers); });
  }
  for (const auto& other : again) {
    EXPECT_EQ(other.values, once.values);
    EXPECT_EQ(other.written, once.written);
  }
}

TEST_P(every_objective, of_no_items_is_nothing) {
  const objective& o = GetParam();
  const std::vector<MatrixXd> none(o.arguments.tensors.size(), MatrixXd(13, 0));
  EXPECT_TRUE(evaluate(o, none, std::vector<double>()).values.empty());
}

// One tensor with an item too many, or a gradient with one too few: an error that says where and
// what would be valid, and nothing written.
TEST_P(every_objective, refuses_tensors_that_do_not_fit) {
  const objective& o = GetParam();
  const std::vector<MatrixXd>& tensors = o.arguments.tensors;
  const auto refuses = [&](const std::vector<MatrixXd>& given, Index of_gradients) {
    std::vector<MatrixXd> written(o.written, MatrixXd::Constant(13, of_gradients, 7));
    try {
      o.in_double(given, o.arguments.numbers, written);
      ADD_FAILURE() << "accepted";
    } catch (const std::invalid_argument& error) {
      EXPECT_NE(std::string(error.what()).find("; valid: "), std::string::npos) << error.what();
      EXPECT_NE(std::string(error.what()).find(": "), std::string::npos) << error.what();
    }
    for (const MatrixXd& w : written) EXPECT_EQ(w, MatrixXd::Constant(13, of_gradients, 7));
  };
  for (std::size_t k = 1; k < tensors.size(); ++k) {
    std::vector<MatrixXd> wrong = tensors;
    wrong[k].conservativeResize(13, tensors[k].cols() + 1);
    refuses(wrong, tensors[0].cols());
  }
  if (o.written > 0) refuses(tensors, tensors[0].cols() - 1);
}

std::string name_of(const testing::TestParamInfo<objective>& tested) {
  std::string name = tested.param.name;
  for (char& c : name)
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  return name;
}

INSTANTIATE_TEST_SUITE_P(objective, every_objective, testing::ValuesIn(objectives()), name_of);

}  // namespace
