"""The words of a report in English and in Chinese."""

from __future__ import annotations

from typing import Dict, Tuple

LANGUAGES = ("en", "zh")
NAMES = {"en": "English", "zh": "中文"}

WORDS: Dict[str, Tuple[str, str]] = {
    "title": ("Report on {title}", "{title} 的报告"),
    "contents": ("Contents", "目录"),
    "made": (
        "made on {when} by ppcls {version}; `ppcls report` makes it again",
        "由 ppcls {version} 于 {when} 生成；用 `ppcls report` 可重新生成",
    ),
    # Sections
    "summary": ("What was trained", "训练了什么"),
    "curves": ("Curves", "曲线"),
    "confusion": ("Confusion matrix", "混淆矩阵"),
    "classes": ("Each class", "各个类别"),
    "pairs": ("Most confused classes", "最易混淆的类别"),
    "mistakes": ("Worst mistakes", "最严重的错误"),
    "hard": ("Right, but only just", "勉强答对的图像"),
    "labels_val": ("Doubtful labels: validation", "可疑标签：验证集"),
    "labels_train": ("Doubtful labels: training", "可疑标签：训练集"),
    "duplicates": ("Near duplicates", "近似重复的图像"),
    "attention": ("Where the network looks", "网络看的是哪里"),
    "augmentation": ("What training makes of a photo", "训练时一张照片会变成什么样"),
    "calibration": ("Is it as sure as it is right?", "置信度可信吗？"),
    "unreadable": ("Unreadable images", "无法读取的图像"),
    # Introductions
    "headline": (
        "of the validation images are right: {right} of {total}",
        "的验证图像答对：{total} 张中的 {right} 张",
    ),
    "about_confusion": (
        "Rows are the labels, columns what the network said. {right} of {total} validation images "
        "({rate}) are right.",
        "行是标签，列是网络的回答。{total} 张验证图像中有 {right} 张（{rate}）答对。",
    ),
    "about_part": (
        "Of {all} classes the {shown} with the most mistakes are shown.",
        "共 {all} 个类别，只显示错误最多的 {shown} 个。",
    ),
    "about_classes": (
        "Validation images, the worst class first. Precision: how many of those called so are so. "
        "Recall: how many of those that are so are called so. F1: the harmonic mean of both.",
        "针对验证图像，最差的类别在前。精确率：被判为该类的图像中有多少确实是。召回率：该类图像中有多少被认出。F1："
        "二者的调和平均。",
    ),
    "about_pairs": (
        "Which class is taken for which, and with which photos.",
        "哪个类别被当成哪个，以及相应的照片。",
    ),
    "about_mistakes": (
        "Wrong answers of which the network was the most certain. Often the label is wrong, or the "
        "photo shows several things.",
        "网络最有把握、却答错的图像。原因常常是标签有误，或照片里有多个对象。",
    ),
    "about_hard": (
        "Right answers with the smallest lead over the next class. More photos like these help the "
        "most.",
        "答对了，但与第二名差距最小的图像。多收集这样的照片最有帮助。",
    ),
    "about_labels_val": (
        "By confident learning (Northcutt et al. 2021), from what the network says. It has not "
        "learnt from these images.",
        "方法：置信学习（Northcutt 等，2021），依据网络的输出。网络没有学过这些图像。",
    ),
    "about_labels_train": (
        "By confident learning, from a linear head that has not seen the image, on features of the "
        "weights that the run began with, if it did with any: the network knows its training "
        "images by heart.",
        "方法：置信学习，依据一个没有见过这张图像的线性分类器，所用特征来自训练开始时的权重（如果有）——网络对训练图像早已烂熟于心。",
    ),
    "about_judge": (
        "What judges here agrees with {rate} of all labels. The lower that is, the more of this "
        "list is right after all.",
        "这里的判断与 {rate} 的标签一致。这个比例越低，下面列出的标签其实正确的就越多。",
    ),
    "about_fixing": (
        'To correct labels, open {file}, set "confirmed": true where you agree, and run '
        "ppcls data fix {file}",
        '要更正标签：打开 {file}，在您认可的条目上写 "confirmed": true，'
        "然后运行 ppcls data fix {file}",
    ),
    "about_listed": (
        "{shown} of {all} are shown; {file} lists more.",
        "共 {all} 个，显示了 {shown} 个；其余见 {file}。",
    ),
    "about_duplicates": (
        "Photos that show the same. Where one of them is in training and the other in validation, "
        "the figures above are better than they should be.",
        "内容相同的照片。如果一张在训练集、另一张在验证集，上面的指标就会偏高。",
    ),
    "about_attention": (
        "Grad-CAM (Selvaraju et al. 2017): red is what spoke for the class below the picture.",
        "Grad-CAM（Selvaraju 等，2017）：红色区域最支持图下所写的类别。",
    ),
    "about_augmentation": (
        "The first picture is the photo; the others are what training's transforms made of it.",
        "第一张是原图，其余是训练时的变换产生的结果。",
    ),
    "about_calibration": (
        "Of answers given with 80 % probability, 80 % should be right. The number above a bar is "
        "that of its images. Expected calibration error: {error}.",
        "以 80% 的概率给出的答案应当有 80% 正确。柱上的数字是图像数。"
        "期望校准误差（ECE）：{error}。",
    ),
    "nothing_confused": ("No image was taken for another class.", "没有图像被错认。"),
    "nothing_wrong": ("The network made no mistake on these images.", "网络在这些图像上没有出错。"),
    "nothing_right": ("The network got no image right.", "网络没有答对任何图像。"),
    "nothing_doubtful": ("No label is doubtful.", "没有可疑的标签。"),
    "nothing_twice": ("No two photos show the same.", "没有内容相同的照片。"),
    "missing": ("This section is empty: {reason}", "本节为空：{reason}"),
    # The summary
    "network": ("Network, parameters", "网络，参数量"),
    "weights": ("Weights", "权重"),
    "trained_for": ("Epochs / updates", "轮次 / 更新次数"),
    "metrics": ("Best evaluation", "最佳评估结果"),
    "started_from": ("Started from", "起始权重"),
    "image_size": ("Images (channels x height x width)", "图像（通道 x 高 x 宽）"),
    "views": ("Averaged views of each image", "每张图像取平均的视图"),
    "optimizer": ("Optimizer", "优化器"),
    "batch_size": ("Images per batch", "批大小"),
    "seconds": ("Seconds of training", "训练用时（秒）"),
    "machine": ("This report was made on", "生成报告的机器"),
    "versions": ("Versions", "版本"),
    "class_count": ("Classes", "类别"),
    "images_train": ("Images for training", "训练图像"),
    "images_val": ("Images for validation", "验证图像"),
    "judged_of": ("{images}, of which {judged} were looked at", "{images}，查看了其中 {judged} 张"),
    # Columns and captions
    "class": ("Class", "类别"),
    "precision": ("Precision", "精确率"),
    "recall": ("Recall", "召回率"),
    "f1": ("F1", "F1"),
    "support": ("Images", "图像数"),
    "label_is": ("label {name}", "标签 {name}"),
    "network_says": ("network says {name} ({chance})", "网络认为是 {name}（{chance}）"),
    "head_says": ("looks like {name} ({chance})", "看起来是 {name}（{chance}）"),
    "lead": ("ahead of the next class by {lead}", "领先第二名 {lead}"),
    "taken_for": (
        "{label} taken for {predicted}: {images}",
        "{label} 被当成 {predicted}：{images} 张",
    ),
    "speaks_for": ("for {name}", "支持 {name}"),
    "original": ("the photo", "原图"),
    "leak": ("training and validation", "跨训练集与验证集"),
    "contradiction": ("different labels", "标签不同"),
    "mirrored": ("mirrored", "镜像"),
    "train": ("training", "训练"),
    "val": ("validation", "验证"),
    "no_picture": ("no picture", "无图"),
    "loss": ("loss", "损失"),
    "rate": ("learning rate", "学习率"),
    "epoch": ("epoch", "轮次"),
    "confidence": ("probability", "概率"),
    "accuracy": ("fraction right", "正确率"),
}
