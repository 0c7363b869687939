#include "tweedie/conditioning/attention_control.hpp"

#include <gtest/gtest.h>

#include <array>
#include <limits>
#include <vector>

#include "refusal.hpp"

namespace tweedie {
namespace {

using Eigen::MatrixXd;
using token = std::optional<std::size_t>;

// 3 source tokens, 4 queries: more than one block when repeated.
MatrixXd features(Eigen::Index rows, Eigen::Index columns, double phase) {
  MatrixXd out(rows, columns);
  for (Eigen::Index i = 0; i < out.size(); ++i)
    out.data()[i] = std::sin(1.7 * static_cast<double>(i) + phase);
  return out;
}

TEST(attention_maps, are_what_attention_weighs_values_with) {
  const MatrixXd q = features(5, 130, 0), k = features(5, 3, 1), v = features(2, 3, 2);
  const MatrixXd maps = attention_maps(q, k);
  EXPECT_EQ(maps.rows(), 3);
  EXPECT_LT((maps.colwise().sum().array() - 1).abs().maxCoeff(), 1e-14);
  EXPECT_LT((v * maps - attention(q, k, v)).norm(), 1e-13);
  MatrixXd bias = MatrixXd::Zero(3, 130);
  bias.col(7).setConstant(-std::numeric_limits<double>::infinity());
  EXPECT_THROW(attention_maps(q, k, bias), std::invalid_argument);
  EXPECT_EQ(attention_maps(q, k, bias, masked_query::zero).col(7), MatrixXd::Zero(3, 1));
  EXPECT_EQ(attention_maps(q, MatrixXd(5, 0), MatrixXd(0, 130), masked_query::zero).rows(), 0);
  EXPECT_THROW(attention_maps(q, MatrixXd(4, 3)), std::invalid_argument);
}

TEST(swapped_maps, give_new_words_the_place_of_the_old) {
  const MatrixXd source = attention_maps(features(5, 4, 0), features(5, 3, 1));
  EXPECT_EQ(swapped_maps(source, MatrixXd::Identity(3, 3)), source);
  // The second word became two tokens.
  MatrixXd became(4, 3);
  became << 1, 0, 0, 0, 0.5, 0, 0, 0.5, 0, 0, 0, 1;
  const MatrixXd swapped = swapped_maps(source, became);
  EXPECT_EQ(swapped.row(1), 0.5 * source.row(1));
  EXPECT_EQ(swapped.row(2), swapped.row(1));
  EXPECT_EQ(swapped.row(3), source.row(2));
  EXPECT_LT((swapped.colwise().sum().array() - 1).abs().maxCoeff(), 1e-14);
  // A word for the same word: the picture is the source's, whatever the query.
  const MatrixXd values = features(2, 3, 4);
  EXPECT_LT((values * swapped_maps(source, MatrixXd::Identity(3, 3)) -
             attention(features(5, 4, 0), features(5, 3, 1), values))
                .norm(),
            1e-14);
  became(0, 0) = 0.5;
  EXPECT_NE(refusal([&] { swapped_maps(source, became); }).find("sum of a column"),
            std::string::npos);
  became.col(0) << 2, -1, 0, 0;
  EXPECT_THROW(swapped_maps(source, became), std::invalid_argument);
  EXPECT_THROW(swapped_maps(source, MatrixXd::Identity(2, 2)), std::invalid_argument);
  EXPECT_THROW(swapped_maps(source, MatrixXd::Constant(3, 3, std::nan(""))), std::invalid_argument);
}

TEST(refined_maps, keep_the_rows_of_old_words_and_their_own_of_new_ones) {
  const MatrixXd source = attention_maps(features(5, 4, 0), features(5, 2, 1));
  const MatrixXd edited = attention_maps(features(5, 4, 3), features(5, 3, 2));
  const std::array<token, 3> none{}, inserted{token(0), std::nullopt, token(1)};
  EXPECT_EQ(refined_maps(source, edited, none), edited);
  const MatrixXd refined = refined_maps(source, edited, inserted);
  EXPECT_EQ(refined.row(0), source.row(0));
  EXPECT_EQ(refined.row(1), edited.row(1));
  EXPECT_EQ(refined.row(2), source.row(1));
  const std::array<token, 2> all{token(0), token(1)};
  EXPECT_EQ(refined_maps(source, edited.topRows(2), all), source);
  const std::array<token, 3> beyond{token(2), std::nullopt, std::nullopt};
  EXPECT_THROW(refined_maps(source, edited, beyond), std::invalid_argument);
  EXPECT_THROW(refined_maps(source, edited, all), std::invalid_argument);
  EXPECT_THROW(refined_maps(source, edited.leftCols(3), none), std::invalid_argument);
}

TEST(reweighted_maps, scale_one_word) {
  const Eigen::MatrixXf maps = attention_maps(features(5, 4, 0), features(5, 3, 1)).cast<float>();
  const std::vector<double> ones{1, 1, 1}, more{1, 4, 1}, without{1, -0.5, 0};
  EXPECT_EQ(reweighted_maps(maps, ones), maps);
  EXPECT_EQ(reweighted_maps(maps, more).row(1), 4 * maps.row(1));
  EXPECT_EQ(reweighted_maps(maps, more).row(2), maps.row(2));
  EXPECT_EQ(reweighted_maps(maps, without).row(2), 0 * maps.row(2));
  const std::vector<double> two{1, 1}, bad{1, 1, std::nan("")};
  EXPECT_THROW(reweighted_maps(maps, two), std::invalid_argument);
  EXPECT_THROW(reweighted_maps(maps, bad), std::invalid_argument);
}

}  // namespace
}  // namespace tweedie
