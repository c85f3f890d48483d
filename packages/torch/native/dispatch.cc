// Calls any operator of libtorch's dispatcher by number. Arguments are boxed from JavaScript values as the operator's
// own schema says; results come back as handles. Autograd, autocast and device dispatch happen inside libtorch.
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/function_schema.h>

#include <algorithm>
#include <cmath>
#include <sstream>

#include "addon.h"

namespace camelid {

namespace {

enum class Kind : uint8_t {
  Tensor, Int, Float, Bool, Scalar, String, Device,
  TensorList, OptionalTensorList, IntList, FloatList, BoolList, Unsupported,
};

struct Argument {
  Kind kind;
  bool optional;
};

Kind kindOf(const c10::Type& type) {
  switch (type.kind()) {
    case c10::TypeKind::TensorType: return Kind::Tensor;
    case c10::TypeKind::IntType:
    case c10::TypeKind::SymIntType:
    case c10::TypeKind::ScalarTypeType:
    case c10::TypeKind::LayoutType:
    case c10::TypeKind::MemoryFormatType: return Kind::Int;
    case c10::TypeKind::FloatType: return Kind::Float;
    case c10::TypeKind::BoolType: return Kind::Bool;
    case c10::TypeKind::NumberType: return Kind::Scalar;
    case c10::TypeKind::StringType: return Kind::String;
    case c10::TypeKind::DeviceObjType: return Kind::Device;
    case c10::TypeKind::ListType: {
      const auto& element = *type.castRaw<c10::ListType>()->getElementType();
      if (element.kind() == c10::TypeKind::OptionalType) return Kind::OptionalTensorList;
      switch (kindOf(element)) {
        case Kind::Tensor: return Kind::TensorList;
        case Kind::Int: return Kind::IntList;
        case Kind::Float: return Kind::FloatList;
        case Kind::Bool: return Kind::BoolList;
        default: return Kind::Unsupported;
      }
    }
    default: return Kind::Unsupported;
  }
}

Argument argumentOf(const c10::Argument& argument) {
  const c10::Type* type = argument.type().get();
  if (type->kind() == c10::TypeKind::OptionalType) {
    return {kindOf(*type->castRaw<c10::OptionalType>()->getElementType()), true};
  }
  return {kindOf(*type), false};
}

}  // namespace

struct Operator {
  c10::OperatorHandle handle;
  std::vector<Argument> arguments;
  bool inPlace;  // returns its first argument: no new handle is made
};

namespace {

std::pair<std::string, std::string> splitName(const std::string& fullName) {
  const size_t dot = fullName.find('.');
  if (dot == std::string::npos) return {fullName, ""};
  return {fullName.substr(0, dot), fullName.substr(dot + 1)};
}

std::shared_ptr<Operator> resolve(const std::string& fullName) {
  const auto [name, overload] = splitName(fullName);
  auto handle = c10::Dispatcher::singleton().findSchema({name, overload});
  if (!handle) throw std::runtime_error("this libtorch has no operator " + fullName);
  const auto& schema = handle->schema();
  std::vector<Argument> arguments;
  for (const auto& argument : schema.arguments()) arguments.push_back(argumentOf(argument));
  const auto& returns = schema.returns();
  const bool inPlace = returns.size() == 1 && returns[0].alias_info() && returns[0].alias_info()->isWrite();
  return std::make_shared<Operator>(Operator{*handle, std::move(arguments), inPlace});
}

// "linear" for "aten::linear": what a person would call it.
std::string shortName(const Operator& op) {
  const std::string& name = op.handle.schema().name();
  return name.substr(name.find("::") + 2);
}

[[noreturn]] void badArgument(const Operator& op, size_t index, const char* expected) {
  throw std::invalid_argument(shortName(op) + ": argument \"" + op.handle.schema().arguments()[index].name() +
                              "\" must be " + expected);
}

double numberFrom(napi_env env, napi_value value, const Operator& op, size_t index) {
  double number;
  if (napi_get_value_double(env, value, &number) != napi_ok) badArgument(op, index, "a number");
  return number;
}

// Up to 2^53, as JavaScript counts; beyond, and for NaN, a conversion would be undefined.
bool isExactInteger(double number) { return std::abs(number) <= 9007199254740992.0 && number == std::trunc(number); }

int64_t integerFrom(napi_env env, napi_value value, const Operator& op, size_t index) {
  const double number = numberFrom(env, value, op, index);
  if (!isExactInteger(number)) badArgument(op, index, "an integer");
  return static_cast<int64_t>(number);
}

at::Tensor& tensorFrom(napi_env env, HandleTable& tensors, napi_value value, const Operator& op, size_t index) {
  int32_t handle;
  if (napi_get_value_int32(env, value, &handle) != napi_ok) badArgument(op, index, "a tensor");
  return tensors.get(handle);
}

bool booleanFrom(napi_env env, napi_value value, const Operator& op, size_t index) {
  bool boolean;
  if (napi_get_value_bool(env, value, &boolean) != napi_ok) badArgument(op, index, "true or false");
  return boolean;
}

std::string stringFrom(napi_env env, napi_value value, const Operator& op, size_t index) {
  size_t length;
  if (napi_get_value_string_utf8(env, value, nullptr, 0, &length) != napi_ok) badArgument(op, index, "a string");
  std::string text(length, '\0');
  napi_get_value_string_utf8(env, value, text.data(), length + 1, &length);
  return text;
}

template <typename Visit>
void forEachElement(napi_env env, napi_value array, const Operator& op, size_t index, Visit visit) {
  uint32_t length;
  if (napi_get_array_length(env, array, &length) != napi_ok) badArgument(op, index, "an array");
  for (uint32_t i = 0; i < length; i++) {
    napi_value element;
    check(napi_get_element(env, array, i, &element));
    visit(element);
  }
}

bool isNullish(napi_env env, napi_value value) {
  napi_valuetype type;
  napi_typeof(env, value, &type);
  return type == napi_null || type == napi_undefined;
}

c10::IValue listArgument(napi_env env, HandleTable& tensors, napi_value value, const Operator& op, size_t index) {
  switch (op.arguments[index].kind) {
    case Kind::TensorList: {
      c10::List<at::Tensor> list;
      forEachElement(env, value, op, index, [&](napi_value v) { list.push_back(tensorFrom(env, tensors, v, op, index)); });
      return list;
    }
    case Kind::OptionalTensorList: {
      c10::List<std::optional<at::Tensor>> list;
      forEachElement(env, value, op, index, [&](napi_value v) {
        if (isNullish(env, v)) list.push_back(std::nullopt);
        else list.push_back(tensorFrom(env, tensors, v, op, index));
      });
      return list;
    }
    case Kind::IntList: {
      c10::List<int64_t> list;
      forEachElement(env, value, op, index, [&](napi_value v) { list.push_back(integerFrom(env, v, op, index)); });
      return list;
    }
    case Kind::FloatList: {
      c10::List<double> list;
      forEachElement(env, value, op, index, [&](napi_value v) { list.push_back(numberFrom(env, v, op, index)); });
      return list;
    }
    default: {
      c10::List<bool> list;
      forEachElement(env, value, op, index, [&](napi_value v) { list.push_back(booleanFrom(env, v, op, index)); });
      return list;
    }
  }
}

// A JavaScript number becomes an integer Scalar when it is one, as a Python literal would. Minus zero has no integer.
c10::Scalar scalarFrom(napi_env env, napi_value value, const Operator& op, size_t index) {
  napi_valuetype type;
  napi_typeof(env, value, &type);
  if (type == napi_boolean) return booleanFrom(env, value, op, index);
  const double number = numberFrom(env, value, op, index);
  const bool integer = isExactInteger(number) && !(number == 0 && std::signbit(number));
  return integer ? c10::Scalar(static_cast<int64_t>(number)) : c10::Scalar(number);
}

c10::IValue box(napi_env env, HandleTable& tensors, napi_value value, const Operator& op, size_t index) {
  switch (op.arguments[index].kind) {
    case Kind::Tensor: return tensorFrom(env, tensors, value, op, index);
    case Kind::Int: return integerFrom(env, value, op, index);
    case Kind::Float: return numberFrom(env, value, op, index);
    case Kind::Bool: return booleanFrom(env, value, op, index);
    case Kind::Scalar: return scalarFrom(env, value, op, index);
    case Kind::String: return stringFrom(env, value, op, index);
    case Kind::Device: return c10::Device(stringFrom(env, value, op, index));
    case Kind::Unsupported: badArgument(op, index, "left out: its type is not supported");
    default: return listArgument(env, tensors, value, op, index);
  }
}

napi_value unbox(napi_env env, HandleTable& tensors, const c10::IValue& value) {
  napi_value result;
  if (value.isTensor()) {
    napi_create_int32(env, tensors.insert(value.toTensor()), &result);
  } else if (value.isTensorList()) {
    const auto list = value.toTensorList();
    napi_create_array_with_length(env, list.size(), &result);
    for (size_t i = 0; i < list.size(); i++) {
      napi_value element;
      napi_create_int32(env, tensors.insert(list.get(i)), &element);
      check(napi_set_element(env, result, static_cast<uint32_t>(i), element));
    }
  } else if (value.isBool()) {
    napi_get_boolean(env, value.toBool(), &result);
  } else if (value.isScalar()) {
    napi_create_double(env, value.toScalar().toDouble(), &result);
  } else if (value.isNone()) {
    napi_get_null(env, &result);
  } else {
    throw std::runtime_error("an operator returned " + value.tagKind() + ", which has no JavaScript form");
  }
  return result;
}

void appendShapes(napi_env env, HandleTable& tensors, napi_value value, std::ostringstream& text) {
  int32_t handle;
  if (napi_get_value_int32(env, value, &handle) == napi_ok) {
    text << tensors.get(handle).sizes();
    return;
  }
  uint32_t length = 0;
  napi_get_array_length(env, value, &length);
  for (uint32_t i = 0; i < length && i < 8; i++) {
    napi_value element;
    check(napi_get_element(env, value, i, &element));
    if (i > 0) text << " ";
    appendShapes(env, tensors, element, text);
  }
  if (length > 8) text << " ... " << length << " tensors";
}

// libtorch's message after the operator's name, with the shape of every tensor that was given. They are read from the
// JavaScript values: the kernel has consumed the boxed ones.
std::string describeFailure(napi_env env, HandleTable& tensors, const Operator& op, const napi_value* values, size_t count,
                            const std::string& message) {
  std::ostringstream text;
  text << shortName(op) << ": " << message;
  const char* separator = " (given ";
  for (size_t i = 0; i < op.arguments.size() && i < count; i++) {
    const Kind kind = op.arguments[i].kind;
    if ((kind != Kind::Tensor && kind != Kind::TensorList) || isNullish(env, values[i])) continue;
    text << separator << op.handle.schema().arguments()[i].name() << " ";
    appendShapes(env, tensors, values[i], text);
    separator = ", ";
  }
  if (*separator == ',') text << ")";
  return text.str();
}

constexpr size_t kMostArguments = 32;

// call(operatorNumber, ...arguments). Written on the C API: it is the one hot path of the addon.
napi_value call(napi_env env, napi_callback_info info) {
  try {
    size_t count = kMostArguments + 1;
    napi_value values[kMostArguments + 1];
    napi_get_cb_info(env, info, &count, values, nullptr, nullptr);
    Instance& instance = instanceOf(env);

    int32_t number = -1;
    if (count == 0 || napi_get_value_int32(env, values[0], &number) != napi_ok || number < 0 ||
        static_cast<size_t>(number) >= instance.operators.size()) {
      throw std::invalid_argument("unknown operator number");
    }
    auto& slot = instance.operators[number];
    if (!slot) slot = resolve(instance.operatorNames[number]);
    const Operator& op = *slot;
    const napi_value* given = values + 1;
    const size_t numGiven = count - 1;
    if (numGiven > op.arguments.size() || op.arguments.size() > kMostArguments) {
      throw std::invalid_argument(shortName(op) + ": takes " + std::to_string(op.arguments.size()) + " arguments, not " +
                                  std::to_string(numGiven));
    }

    const auto& schemaArguments = op.handle.schema().arguments();
    c10::Stack stack;
    stack.reserve(std::max<size_t>(op.arguments.size(), 4));
    for (size_t i = 0; i < op.arguments.size(); i++) {
      napi_valuetype type = napi_undefined;
      if (i < numGiven) napi_typeof(env, given[i], &type);
      if (type == napi_undefined && schemaArguments[i].default_value()) {
        stack.push_back(*schemaArguments[i].default_value());
      } else if (type == napi_undefined || type == napi_null) {
        if (!op.arguments[i].optional) badArgument(op, i, "given");
        stack.emplace_back();
      } else {
        stack.push_back(box(env, instance.tensors, given[i], op, i));
      }
    }
    try {
      op.handle.callBoxed(stack);
    } catch (const c10::Error& error) {
      throw std::runtime_error(describeFailure(env, instance.tensors, op, given, numGiven, error.what_without_backtrace()));
    } catch (const JavaScriptUnavailable&) {
      throw;  // a custom function's backward, inside an operator that runs a backward pass
    } catch (const std::exception& error) {
      throw std::runtime_error(describeFailure(env, instance.tensors, op, given, numGiven, error.what()));
    }

    if (op.inPlace || stack.empty()) return nullptr;
    if (stack.size() == 1) return unbox(env, instance.tensors, stack[0]);
    napi_value results;
    napi_create_array_with_length(env, stack.size(), &results);
    for (size_t i = 0; i < stack.size(); i++) {
      check(napi_set_element(env, results, static_cast<uint32_t>(i), unbox(env, instance.tensors, stack[i])));
    }
    return results;
  } catch (...) {
    throwCurrentException(env);
    return nullptr;
  }
}

// registerOperators(names): gives them consecutive numbers and returns the first
Napi::Value registerOperators(const Napi::CallbackInfo& info) {
  Instance& instance = instanceOf(info.Env());
  const size_t first = instance.operatorNames.size();
  const Array names = info[0];
  for (uint32_t i = 0; i < names.length(); i++) {
    instance.operatorNames.push_back(names.get(i).As<Napi::String>().Utf8Value());
  }
  instance.operators.resize(instance.operatorNames.size());
  return Napi::Number::New(info.Env(), static_cast<double>(first));
}

Napi::Value schemaOf(const Napi::CallbackInfo& info) {
  const auto [name, overload] = splitName(info[0].As<Napi::String>().Utf8Value());
  const auto handle = c10::Dispatcher::singleton().findSchema({name, overload});
  if (!handle) return info.Env().Null();
  std::ostringstream text;
  text << handle->schema();
  return Napi::String::New(info.Env(), text.str());
}

Napi::Value operatorNames(const Napi::CallbackInfo& info) {
  const auto all = c10::Dispatcher::singleton().getAllOpNames();
  Array names(info.Env(), all.size());
  for (size_t i = 0; i < all.size(); i++) {
    names.set(static_cast<uint32_t>(i), Napi::String::New(info.Env(), c10::toString(all[i])));
  }
  return names;
}

}  // namespace

void exportDispatch(Napi::Object exports) {
  exportCallback(exports, "call", call);
  exportFunction<registerOperators>(exports, "registerOperators");
  exportFunction<schemaOf>(exports, "schemaOf");
  exportFunction<operatorNames>(exports, "operatorNames");
}

}  // namespace camelid
