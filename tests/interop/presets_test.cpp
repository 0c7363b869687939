#include "tweedie/interop/presets.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "tweedie/grid/published.hpp"
#include "tweedie/program/law.hpp"
#include "tweedie/sampler/consistency.hpp"
#include "tweedie/sampler/ddim.hpp"

namespace tweedie {
namespace {

std::vector<double> times(const grid& nodes) {
  std::vector<double> out;
  for (std::size_t i = 0; i + 1 < nodes.size(); ++i) out.push_back(nodes[i].time);
  return out;
}
void near(const std::vector<double>& ours, const std::vector<double>& published, double relative) {
  ASSERT_GE(ours.size(), published.size());
  for (std::size_t i = 0; i < published.size(); ++i)
    EXPECT_NEAR(ours[i], published[i], relative * (1e-3 + std::abs(published[i]))) << i;
}
double alpha_bar(const discrete_schedule& t, int k) { return std::pow(t.at(k).alpha, 2); }

// Numbers in brackets: the table of published numbers (N...).
TEST(presets, tables_have_their_published_levels) {
  EXPECT_NEAR(alpha_bar(*presets::ddpm().table, 999), 4.035829765375676e-5, 1e-18);
  const discrete_schedule sd = *presets::sd15().table;
  EXPECT_NEAR(alpha_bar(sd, 999), 0.004660098513077, 1e-14);  // N2
  EXPECT_NEAR(noise_level(sd.at(999)), 14.614641229, 1e-8);
  EXPECT_NEAR(noise_level(sd.at(0)), 0.029167158152, 1e-11);
  EXPECT_NEAR(alpha_bar(linear_beta_schedule(100, 1e-3, 0.2), 99), 2.0390e-5, 1e-9);  // N12
  EXPECT_NEAR(alpha_bar(linear_beta_schedule(4000, 2.5e-5, 0.005), 3999), 4.24665e-5, 1e-10);
  const signal_noise vp = variance_preserving_schedule()(1);  // N13
  EXPECT_NEAR(half_log_snr(vp), -5.0249784, 1e-7);
  EXPECT_NEAR(noise_level(vp), 152.16697, 1e-5);
  const discrete_schedule zero = zero_terminal_snr(sd);  // N15
  EXPECT_EQ(zero.at(999).alpha, 0);
  EXPECT_NEAR(alpha_bar(zero, 998), 1.967888e-7, 1e-13);
  EXPECT_EQ(presets::cogvideox().table->at(999).alpha, 0);
  EXPECT_EQ(presets::iddpm().table->steps(), 4000);
}

TEST(presets, levels_of_edm) {
  near(noise_levels(presets::edm_cifar().nodes()),  // N16
       {80, 57.5859847, 40.7855738, 28.3745846, 19.352453, 12.9100824, 8.40093531, 5.31519452,
        3.25682152, 1.92333984, 1.08817064, 0.585348123, 0.296442284, 0.139516469, 0.0599473112,
        0.0229345184, 0.00752801996, 0.002, 0},
       1e-8);
  near(karras_levels(10, 14.614642, 0.0291675),  // N17, of k-diffusion's rounded ends
       {14.614642, 9.10293381, 5.478399, 3.16860955, 1.7494222, 0.91407594, 0.44692059, 0.2013997,
        0.08191098, 0.0291675},
       1e-7);
  // N18: the network in its own frame is c_skip x + c_out F.
  const preset edm = presets::edm_cifar();
  for (const auto& [level, skip, out, in, told] :
       {std::array{80.0, 3.9060974e-5, 0.49999023, 0.012499756, 1.09550666},
        std::array{0.5, 0.5, 0.35355339, 1.41421356, -0.17328680}}) {
    const node n{level, {1, level}};
    EXPECT_NEAR(edm.network.input_scale(n), in, 1e-8);
    EXPECT_NEAR(edm.network.time(n), told, 1e-8);
    const state_output clean =
        sample_from({in, in * level}, edm.network.prediction(node{level, {in, in * level}}));
    EXPECT_NEAR(clean.x * in, skip, 2e-8);
    EXPECT_NEAR(clean.y, out, 2e-8);
  }
  EXPECT_EQ(presets::svd().nodes().front().level.sigma, 700);
  EXPECT_EQ(presets::svd().nodes()[24].level.sigma, 0.002);
}

TEST(presets, align_your_steps_stands_on_the_tables) {  // N19
  const discrete_schedule sd = *presets::sd15().table;
  const double sd15[] = {14.6146, 6.4746, 3.8637, 2.6946, 1.8842,
                         1.3944,  .9643,  .6524,  .3977,  .1515};
  const double sdxl[] = {14.6146, 6.3184, 3.7682, 2.1811, 1.3405,
                         .8621,   .5551,  .3799,  .2332,  .1114};
  for (std::size_t i = 0; i < 10; ++i) {
    EXPECT_NEAR(noise_level(sd.at(align_your_steps_sd15[i])), sd15[i], 5.1e-5);
    EXPECT_NEAR(noise_level(sd.at(align_your_steps_sdxl[i])), sdxl[i], 5.1e-5);
    EXPECT_NEAR(align_your_steps_sd15_levels[i], sd15[i], 0.0036);
  }
}

TEST(presets, times_of_flows) {
  const grid sd3 = presets::sd3().nodes();  // N20
  near(times(sd3), {1, 0.98735475, 0.9740533, 0.9600432, 0.94526627, 0.92965779}, 1e-8);
  EXPECT_NEAR(sd3[25].time, 0.19565217, 1e-8);
  EXPECT_NEAR(sd3[26].time, 0.10594796, 1e-8);
  EXPECT_NEAR(sd3[27].time, 0.00299401, 1e-8);
  EXPECT_EQ(presets::sd3().network.time(sd3[0]), 1000);
  const double shifts[][3] = {{256, 1.648721, 0.622459},
                              {1024, 1.877611, 0.652489},  // N21
                              {4096, 3.158193, 0.759511}};
  for (const auto& [tokens, shift, half] : shifts) {
    EXPECT_NEAR(std::exp(resolution_log_shift(tokens)), shift, 1e-6);
    // Three steps: 1, 2/3, 1/3, shifted; the noise level is multiplied by e^mu.
    const grid nodes = presets::flux().nodes(3, tokens);
    EXPECT_NEAR(noise_level(nodes[1].level), 2 * shift, 3e-6);
    EXPECT_NEAR(noise_level(nodes[2].level), 0.5 * shift, 1e-6);
    EXPECT_NEAR(shift_time(0.5, std::exp(resolution_log_shift(tokens))), half, 1e-6);
  }
  for (const auto& [tokens, steps, mu] :  // N22
       {std::array{4096., 50., 2.02335116}, std::array{4096., 28., 2.15144316},
        std::array{1024., 50., 1.70195621}}) {
    const grid nodes = presets::flux2().nodes(static_cast<int>(steps), tokens);
    const double last = 1 / steps;
    EXPECT_NEAR(std::log(noise_level(nodes[nodes.size() - 2].level) * (1 - last) / last), mu, 1e-7);
  }
  const grid qwen = presets::qwen_image().nodes(40, 4096);
  EXPECT_EQ(qwen.front().time, 1);
  EXPECT_NEAR(qwen[39].time, 0.02, 1e-14);
  EXPECT_NEAR(noise_level(presets::wan().nodes(50)[25].level), 5, 1e-12);
  EXPECT_EQ(presets::wan(3).nodes(4)[0].level.alpha, 0);
}

TEST(presets, times_of_tables) {
  EXPECT_EQ(times(presets::lcm().nodes()), (std::vector<double>{999, 759, 499, 259}));  // N26
  EXPECT_EQ(times(presets::lcm().nodes(2)), (std::vector<double>{999, 499}));
  EXPECT_EQ(times(presets::lcm().nodes(1)), (std::vector<double>{999}));
  EXPECT_EQ(times(presets::lcm().nodes(8)),
            (std::vector<double>{999, 879, 759, 639, 499, 379, 259, 139}));
  const consistency_scaling late = latent_consistency_scaling(259);  // N27
  EXPECT_NEAR(late.skip, 3.7268e-8, 1e-12);
  EXPECT_NEAR(late.out, 0.99999998, 1e-8);
  EXPECT_EQ(latent_consistency_scaling(0).skip, 1);
  EXPECT_EQ(times(presets::sdxl_turbo().nodes()),
            (std::vector<double>{999, 749, 499, 249}));  // N28
  near(times(presets::sd15().nodes()), {981, 961}, 0);
  EXPECT_EQ(presets::sd15().nodes()[49].time, 1);
  near(times(presets::sdxl().nodes(30)), {958, 925, 892}, 0);
  EXPECT_NEAR(noise_level(presets::sdxl().nodes(30)[0].level), 11.4768, 5e-5);
  // Image-to-image of strength 0.6 (N38).
  const grid edit = starting_at(presets::sd15().nodes(),
                                static_cast<std::size_t>(50 - steps_of_strength(50, 0.6)));
  EXPECT_EQ(edit.size(), 31u);
  EXPECT_EQ(edit[0].time, 581);
  EXPECT_NEAR(std::pow(edit[0].level.alpha, 2), 0.179863607, 1e-9);
  EXPECT_NEAR(noise_level(edit[0].level), 2.135361426, 1e-8);
  const grid adm = presets::adm().nodes(50);
  EXPECT_EQ(adm[0].time, 999);
  EXPECT_EQ(adm[1].time, 979);
  EXPECT_EQ(adm[49].time, 0);
}

TEST(presets, waves) {  // N37
  const preset wave = presets::diffwave();
  EXPECT_NEAR(alpha_bar(*wave.table, 49), 0.27967250, 1e-8);
  const double fast[] = {0.37578622, 0.75157244, 0.93946554, 0.9889111, 0.9989001, 0.9999};
  const grid six = wave.nodes();
  for (std::size_t i = 0; i < 6; ++i) {
    EXPECT_NEAR(std::pow(six[i].level.alpha, 2), fast[i], 1e-8);
    EXPECT_GE(six[i].time, 0);  // where the table has that level, fractions and all
    EXPECT_NEAR(noise_level((*wave.table)(six[i].time)), noise_level(six[i].level), 1e-12);
  }
  const preset grad = presets::wavegrad();
  EXPECT_EQ(grad.network.time(grad.nodes()[3]), grad.nodes()[3].level.alpha);
  EXPECT_EQ(grad.nodes(1000).size(), 1001u);
  EXPECT_THROW(grad.nodes(7), std::invalid_argument);
}

TEST(presets, latents) {  // N45, N36
  EXPECT_EQ(presets::sd15().latents.at(0).scale, 0.18215);
  EXPECT_EQ(presets::sdxl().latents.at(0).scale, 0.13025);
  EXPECT_EQ(presets::sd3().latents.at(0).scale, 1.5305);
  EXPECT_EQ(presets::sd3().latents.at(0).shift, 0.0609);
  EXPECT_EQ(presets::flux().latents.at(0).scale, 0.3611);
  EXPECT_EQ(presets::flux().latents.at(0).shift, 0.1159);
  EXPECT_EQ(presets::wan().latents.size(), 16u);
  for (const preset& p : presets::all())
    for (const latent_scaler& l : p.latents)
      EXPECT_NEAR(l.to_decoder(l.to_model(0.7)), 0.7, 1e-14) << p.name;
  EXPECT_EQ(saving_of({8, 4}).values, 48);
  EXPECT_EQ(saving_of({8, 16}).values, 12);
  EXPECT_EQ(saving_of({8, 16, 4}).values, 48);
  EXPECT_EQ(saving_of({8, 4}).layers, 64);
  EXPECT_EQ(saving_of({8, 4}).attention, 4096);
  EXPECT_THROW(saving_of({0, 4}), std::invalid_argument);
}

// Every preset is a sampler: its own grid falls to clean data, and one whose network says the truth brings the truth back.
TEST(presets, all_sample) {
  std::set<std::string_view> names;
  for (const preset& p : presets::all()) {
    EXPECT_TRUE(names.insert(p.name).second);
    const grid nodes = p.nodes();
    ASSERT_EQ(nodes.size(), static_cast<std::size_t>(p.steps) + 1) << p.name;
    EXPECT_EQ(nodes.back().level.sigma, 0) << p.name;
    EXPECT_EQ((p.guided == preset_guidance::none), (p.guidance == 1)) << p.name;
    const auto [alpha, sigma] = nodes.front().level;
    const auto end = law(ddim(nodes), perfect_denoiser(0.3), {alpha * 0.3, sigma * sigma}).result;
    EXPECT_NEAR(end.mean, 0.3, 1e-12) << p.name;
    for (std::size_t i = 0; i + 1 < nodes.size(); ++i) {
      EXPECT_TRUE(std::isfinite(p.network.time(nodes[i]))) << p.name;
      const double c = p.network.input_scale(nodes[i]);
      const signal_noise shown{c * nodes[i].level.alpha, c * nodes[i].level.sigma};
      // A prediction of noise says nothing of x0 at pure noise; no preset asks for that.
      EXPECT_NO_THROW(sample_from(shown, p.network.prediction(node{nodes[i].time, shown})))
          << p.name << ' ' << i;
    }
  }
  EXPECT_EQ(names.size(), 19u);
  EXPECT_THROW(presets::flux().nodes(0), std::invalid_argument);
  EXPECT_THROW(presets::lcm().nodes(51), std::invalid_argument);
}

}  // namespace
}  // namespace tweedie
