"""The operators that a bundle's network may use: those that compute, and nothing else.

An engine runs whatever operators stand in a program, and some of them read or write files, use the
network, run host code or print. Bundles may come from strangers, so these tables say what is
accepted. None of these operators touches anything but the numbers that it is given, draws random
numbers when it predicts, or shows what memory held before (as an empty tensor does).
"""

from __future__ import annotations

from typing import FrozenSet


def _names(text: str) -> FrozenSet[str]:
    return frozenset(text.split())


PADDLE_3: FrozenSet[str] = _names(
    """
    abs acos acosh add add_n addmm affine_channel affine_grid all allclose amax amin any arange
    argmax argmin argsort array_length array_read array_to_tensor asin asinh assign assign_out
    assign_value atan atan2 atanh baddbmm batch_norm bicubic_interp bilinear bilinear_interp
    bitwise_and bitwise_not bitwise_or bitwise_xor bmm broadcast_tensors cast ceil celu
    channel_shuffle clip concat conv2d conv2d_transpose conv2d_transpose_bias conv3d
    conv3d_transpose copysign cos cosh create_array create_array_like crop cross cummax cummin
    cumprod cumsum data deformable_conv depthwise_conv2d depthwise_conv2d_bias
    depthwise_conv2d_transpose dequantize_linear det diag diag_embed diagonal dist divide dot
    dropout einsum elementwise_pow elu embedding equal equal_all erf erfinv exp expand expand_as
    expm1 eye fetch fft_c2c fft_c2r fft_r2c fill fill_diagonal fill_diagonal_tensor flash_attn
    flatten flip floor floor_divide fmax fmin fold frobenius_norm full full_batch_size_like
    full_int_array full_like full_with_tensor fused_softmax_mask fused_softmax_mask_upper_triangle
    gather gather_nd gelu greater_equal greater_than grid_sample group_norm gru gumbel_softmax
    hardshrink hardsigmoid hardswish hardtanh heaviside if imag increment index_add index_put
    index_sample index_select instance_norm inverse is_empty isclose isfinite isinf isnan kron
    kthvalue label_smooth layer_norm leaky_relu lerp less_equal less_than linear_interp linspace log
    log10 log1p log2 log_softmax logcumsumexp logical_and logical_not logical_or logical_xor logit
    logsigmoid logsumexp lp_pool2d lstm masked_fill masked_select matmul matmul_with_flatten
    matrix_power max max_pool2d_with_index max_pool3d_with_index maximum maxout mean mean_all median
    memory_efficient_attention meshgrid min minimum mish mode multi_dot multiplex multiply mv
    nanmedian nansum nearest_interp nonzero norm not_equal numel one_hot ones ones_like p_norm pad
    pad3d pixel_shuffle pixel_unshuffle pool2d pool3d pow prelu prod put_along_axis quantize_linear
    real reciprocal reduce_as relu relu6 remainder renorm repeat_interleave
    repeat_interleave_with_tensor_index reshape reverse rint rms_norm rnn roi_align roi_pool roll
    round rsqrt scale scatter scatter_nd_add searchsorted select_input selu sequence_mask set_value
    set_value_with_tensor shape shape64 share_data shuffle_channel sigmoid sign silu sin sinh slice
    slice_array slice_array_dense softmax softplus softshrink softsign spectral_norm split
    split_with_num sqrt square squared_l2_norm squeeze stack stanh std strided_slice subtract sum
    swiglu swish take_along_axis tan tanh tanh_shrink temporal_shift thresholded_relu tile topk
    trace trans_layout transpose tril tril_indices trilinear_interp triu triu_indices trunc unbind
    unfold unique unpool unsqueeze unstack variance where while zeros zeros_like
    """
)
"""Operators of Paddle's dialect `pd_op`. With an underscore behind it, one works in place."""

PADDLE_3_OTHERS: FrozenSet[str] = frozenset({"p", "0.combine", "0.slice", "0.split", "2.yield"})
"""Those of other dialects, as programs write them: a parameter, lists of values, and the end of a
branch or of a loop's body.
"""

PADDLE_2: FrozenSet[str] = _names(
    """
    abs acos acosh addmm affine_channel affine_grid allclose arg_max arg_min argsort asin asinh
    assign assign_value atan atan2 atanh batch_norm bicubic_interp_v2 bilinear_interp
    bilinear_interp_v2 bilinear_tensor_product bitwise_and bitwise_not bitwise_or bitwise_xor bmm
    brelu broadcast_tensors cast ceil celu channel_shuffle clip concat conditional_block
    conditional_block_infer conv2d conv2d_transpose conv3d conv3d_transpose copysign cos cosh crop
    crop_tensor cross cummax cummin cumprod cumsum deformable_conv deformable_conv_v1
    depthwise_conv2d depthwise_conv2d_transpose dequantize_linear determinant diag_embed diag_v2
    diagonal dist dot dropout einsum elementwise_add elementwise_div elementwise_floordiv
    elementwise_fmax elementwise_fmin elementwise_heaviside elementwise_max elementwise_min
    elementwise_mod elementwise_mul elementwise_pow elementwise_sub elu equal equal_all erf erfinv
    exp expand expand_as_v2 expand_v2 expm1 eye feed fetch fetch_v2 fft_c2c fft_c2r fft_r2c fill_any
    fill_any_like fill_constant fill_constant_batch_size_like fill_diagonal fill_diagonal_tensor
    flash_attn flatten2 flatten_contiguous_range flip floor fold frobenius_norm full_int_array
    fused_softmax_mask fused_softmax_mask_upper_triangle gather gather_nd gelu greater_equal
    greater_than grid_sampler group_norm gru gumbel_softmax hard_shrink hard_sigmoid hard_swish imag
    increment index_add index_put index_sample index_select instance_norm inverse is_empty isclose
    isfinite_v2 isinf_v2 isnan_v2 kron kthvalue label_smooth layer_norm leaky_relu lerp less_equal
    less_than linear_interp_v2 linspace lod_array_length log log10 log1p log2 log_softmax
    logcumsumexp logical_and logical_not logical_or logical_xor logit logsigmoid logsumexp
    lookup_table_v2 lp_pool2d lrn lstm masked_fill masked_select matmul matmul_v2 matrix_power
    max_pool2d_v2 max_pool2d_with_index max_pool3d_with_index maxout mean median
    memory_efficient_attention meshgrid mish mode mul multi_dot multiplex mv nanmedian nansum
    nearest_interp nearest_interp_v2 norm one_hot_v2 p_norm pad pad3d pixel_shuffle pixel_unshuffle
    pool2d pool3d pow prelu put_along_axis quantize_linear range range_v2 read_from_array real
    reciprocal reduce_all reduce_amax reduce_amin reduce_any reduce_as reduce_max reduce_mean
    reduce_min reduce_prod reduce_sum relu relu6 renorm repeat_interleave reshape reshape2 reverse
    rint rms_norm rnn roi_align roi_pool roll round row_conv rsqrt scale scatter scatter_nd_add
    searchsorted select_input select_output selu sequence_mask set_value shape shape64 share_data
    shuffle_channel sigmoid sign silu sin sinh size slice softmax softplus softshrink softsign
    spectral_norm split sqrt square squared_l2_norm squeeze2 stack stanh std strided_slice sum
    swiglu swish take_along_axis tan tanh tanh_shrink temporal_shift tensor_array_to_tensor
    thresholded_relu tile top_k top_k_v2 trace transpose transpose2 tril_indices tril_triu
    trilinear_interp_v2 triu_indices trunc unbind unfold unique unpool unsqueeze2 unstack variance
    where where_index while write_to_array
    """
)
"""Operators of the programs of Paddle 2.6."""

ONNX: FrozenSet[str] = _names(
    """
    Abs Acos Acosh Add AffineGrid And ArgMax ArgMin Asin Asinh Atan Atanh AveragePool
    BatchNormalization BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor Cast CastLike Ceil Celu
    CenterCropPad Clip Col2Im Compress Concat ConcatFromSequence Constant ConstantOfShape Conv
    ConvInteger ConvTranspose Cos Cosh CumSum DFT DeformConv DepthToSpace DequantizeLinear Det Div
    Dropout DynamicQuantizeLinear Einsum Elu Equal Erf Exp Expand EyeLike Flatten Floor GRU Gather
    GatherElements GatherND Gelu Gemm GlobalAveragePool GlobalLpPool GlobalMaxPool Greater
    GreaterOrEqual GridSample GroupNormalization HardSigmoid HardSwish Hardmax Identity If
    InstanceNormalization IsInf IsNaN LRN LSTM LayerNormalization LeakyRelu Less LessOrEqual Log
    LogSoftmax Loop LpNormalization LpPool MatMul MatMulInteger Max MaxPool MaxRoiPool MaxUnpool
    Mean MeanVarianceNormalization Min Mish Mod Mul Neg NonMaxSuppression NonZero Not OneHot Or
    PRelu Pad Pow QLinearConv QLinearMatMul QuantizeLinear RNN Range Reciprocal ReduceL1 ReduceL2
    ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare
    Relu Reshape Resize ReverseSequence RoiAlign Round Scan Scatter ScatterElements ScatterND Selu
    SequenceAt SequenceConstruct SequenceEmpty SequenceErase SequenceInsert SequenceLength Shape
    Shrink Sigmoid Sign Sin Sinh Size Slice Softmax Softplus Softsign SpaceToDepth Split
    SplitToSequence Sqrt Squeeze Sub Sum Swish Tan Tanh ThresholdedRelu Tile TopK Transpose Trilu
    Unique Unsqueeze Upsample Where Xor
    """
)
"""Operators of ONNX itself, which have no domain."""

OPENVINO: FrozenSet[str] = _names(
    """
    Abs Acos Acosh AdaptiveAvgPool AdaptiveMaxPool Add Asin Asinh Atan Atanh AvgPool
    BatchNormInference BatchToSpace BinaryConvolution BitwiseAnd BitwiseLeftShift BitwiseNot
    BitwiseOr BitwiseRightShift BitwiseXor Broadcast Bucketize Ceiling Clamp Col2Im Concat Const
    Convert ConvertLike ConvertPromoteTypes Convolution ConvolutionBackpropData Cos Cosh CumSum DFT
    DeformableConvolution DepthToSpace Divide Einsum Elu Equal Erf Exp ExtractImagePatches Eye
    FakeConvert FakeQuantize Floor FloorMod GRN GRUCell GRUSequence Gather GatherElements GatherND
    Gelu Greater GreaterEqual GridSample GroupConvolution GroupConvolutionBackpropData
    GroupNormalization HSigmoid HSwish HardSigmoid IDFT IRDFT Identity If Interpolate Inverse
    IsFinite IsInf IsNaN LRN LSTMCell LSTMSequence Less LessEqual Log LogSoftmax LogicalAnd
    LogicalNot LogicalOr LogicalXor Loop MVN MatMul MaxPool Maximum Minimum Mish Mod Multiply
    Negative NonZero NormalizeL2 NotEqual OneHot PReLU Pad Parameter Power RDFT RNNCell RNNSequence
    ROIAlign ROIPooling Range ReLU ReduceL1 ReduceL2 ReduceLogicalAnd ReduceLogicalOr ReduceMax
    ReduceMean ReduceMin ReduceProd ReduceSum Reshape Result Reverse ReverseSequence Roll Round
    ScaledDotProductAttention ScatterElementsUpdate ScatterNDUpdate ScatterUpdate SearchSorted
    Select Selu ShapeOf ShuffleChannels Sigmoid Sign Sin Sinh Slice SliceScatter SoftMax SoftPlus
    SoftSign SpaceToBatch SpaceToDepth Split Sqrt SquaredDifference Squeeze StridedSlice Subtract
    Swish Tan Tanh TensorIterator Tile TopK Transpose Unique Unsqueeze VariadicSplit
    """
)
"""Types of layers of OpenVINO's operation sets, "opset1" and so on."""
