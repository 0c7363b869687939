// An ONNX graph, built node by node.
//
//   onnx_graph graph("digits");
//   graph.input("x", onnx::TensorProto::FLOAT, {"N", "400"});
//   const auto y = graph.node("MatMul", {"x", graph.constant(matrix, {400, 10})});
//   graph.output(y, onnx::TensorProto::FLOAT, {"N", "10"});
//   graph.save("digits.onnx");
//
// Constants are float, or half throughout (`half_precision`); files are checked before they are written.
#pragma once

#include <onnx/checker.h>
#include <onnx/onnx_pb.h>

#include <Eigen/Core>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace support {

class onnx_graph {
 public:
  explicit onnx_graph(const std::string& name, bool half_precision = false)
      : half_precision_(half_precision) {
    model_.set_ir_version(onnx::IR_VERSION);
    model_.set_producer_name("tweedie examples");
    model_.add_opset_import()->set_version(13);
    model_.mutable_graph()->set_name(name);
  }

  // Of the constants: float or half.
  onnx::TensorProto::DataType scalar() const {
    return half_precision_ ? onnx::TensorProto::FLOAT16 : onnx::TensorProto::FLOAT;
  }

  // A dimension is a number, or a name for one that each call may choose.
  void input(const std::string& name, onnx::TensorProto::DataType type,
             const std::vector<std::string>& dimensions) {
    describe(*model_.mutable_graph()->add_input(), name, type, dimensions);
  }
  void output(const std::string& name, onnx::TensorProto::DataType type,
              const std::vector<std::string>& dimensions) {
    describe(*model_.mutable_graph()->add_output(), name, type, dimensions);
  }

  // Values in row-major order. A column-major matrix is its transpose.
  std::string constant(std::span<const float> values, const std::vector<std::int64_t>& dimensions) {
    return constant(values, dimensions, scalar());
  }
  std::string constant(std::span<const float> values, const std::vector<std::int64_t>& dimensions,
                       onnx::TensorProto::DataType type) {
    onnx::TensorProto& tensor = add_tensor(type, dimensions);
    for (const float v : values)
      if (type == onnx::TensorProto::FLOAT16)
        tensor.add_int32_data(Eigen::numext::bit_cast<std::uint16_t>(Eigen::half(v)));
      else
        tensor.add_float_data(v);
    return tensor.name();
  }
  std::string integers(const std::vector<std::int64_t>& values) {
    onnx::TensorProto& tensor =
        add_tensor(onnx::TensorProto::INT64, {static_cast<std::int64_t>(values.size())});
    for (const std::int64_t v : values) tensor.add_int64_data(v);
    return tensor.name();
  }

  // Returns the name of its one output.
  std::string node(const std::string& operation, const std::vector<std::string>& inputs,
                   const std::string& name = {}) {
    onnx::NodeProto& made = *model_.mutable_graph()->add_node();
    made.set_op_type(operation);
    for (const std::string& in : inputs) made.add_input(in);
    made.add_output(name.empty() ? operation + std::to_string(++names_) : name);
    return made.output(0);
  }
  // The same with an attribute.
  std::string node(const std::string& operation, const std::vector<std::string>& inputs,
                   const std::string& attribute, std::int64_t value) {
    const std::string made = node(operation, inputs);
    onnx::AttributeProto& a = add_attribute(attribute, onnx::AttributeProto::INT);
    a.set_i(value);
    return made;
  }
  void save(const std::filesystem::path& path) const {
    onnx::checker::check_model(model_);
    std::ofstream file(path, std::ios::binary);
    if (!model_.SerializeToOstream(&file) || !file.flush())
      throw std::runtime_error(path.string() + " cannot be written");
  }

 private:
  static void describe(onnx::ValueInfoProto& value, const std::string& name,
                       onnx::TensorProto::DataType type,
                       const std::vector<std::string>& dimensions) {
    value.set_name(name);
    auto& tensor = *value.mutable_type()->mutable_tensor_type();
    tensor.set_elem_type(type);
    for (const std::string& d : dimensions) {
      auto& dimension = *tensor.mutable_shape()->add_dim();
      if (d.find_first_not_of("0123456789") == std::string::npos)
        dimension.set_dim_value(std::stoll(d));
      else
        dimension.set_dim_param(d);
    }
  }
  onnx::TensorProto& add_tensor(onnx::TensorProto::DataType type,
                                const std::vector<std::int64_t>& dimensions) {
    onnx::TensorProto& tensor = *model_.mutable_graph()->add_initializer();
    tensor.set_name("constant" + std::to_string(++names_));
    tensor.set_data_type(type);
    for (const std::int64_t d : dimensions) tensor.add_dims(d);
    return tensor;
  }
  onnx::AttributeProto& add_attribute(const std::string& name,
                                      onnx::AttributeProto::AttributeType type) {
    auto& nodes = *model_.mutable_graph()->mutable_node();
    onnx::AttributeProto& a = *nodes.Mutable(nodes.size() - 1)->add_attribute();
    a.set_name(name);
    a.set_type(type);
    return a;
  }

  onnx::ModelProto model_;
  bool half_precision_;
  int names_ = 0;
};

}  // namespace support
